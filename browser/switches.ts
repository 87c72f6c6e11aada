/** The panel's switches, the same on its page and in its dialog: they follow each other, and many of them are searched. */

/** The purposes that need a choice and that a service serves. */
export const needs = (service: HTMLInputElement): string[] => (service.dataset.purposes || "").split(" ");

/** Switching a purpose moves its services; the last service switched off takes its purpose along. */
export function follow(form: HTMLElement): void {
  const all = (name: string): HTMLInputElement[] => [...form.querySelectorAll<HTMLInputElement>(`input[name="${name}"]`)];
  const purposes = all("purposes");
  const services = all("services");
  const on = (id: string): boolean => purposes.some((p) => p.value == id && p.checked);
  form.addEventListener("change", ({ target }) => {
    const moved = target as HTMLInputElement;
    if (moved.name == "purposes") for (const s of services) if (needs(s).includes(moved.value)) s.checked = needs(s).every(on);
    if (moved.name == "services" && !moved.checked)
      for (const p of purposes)
        if (p.checked && needs(moved).includes(p.value) && !services.some((s) => s.checked && needs(s).includes(p.value) && needs(s).every(on)))
          p.checked = false;
  });
}

/** Letters only, so that *telepost* finds *Télépost*. */
const folded = (text: string): string => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

/** Where there are many services, a field that shows those whose name or words hold what is typed; their purposes open. */
export function find(form: HTMLElement): void {
  const { find: label, found } = form.dataset;
  const first = form.querySelector(".purpose");
  if (!label || !found || !first) return;
  const box = document.createElement("div");
  const name = document.createElement("label");
  const field = document.createElement("input");
  const said = document.createElement("p");
  box.className = "find";
  said.className = "kinds";
  name.append(label, field);
  field.type = "search";
  said.setAttribute("role", "status");
  box.append(name, said);
  first.before(box);
  const rows = [...form.querySelectorAll<HTMLElement>(".purpose:has([name=purposes])")].map((purpose) => {
    const lines = [...purpose.querySelectorAll<HTMLElement>("li")];
    return { purpose, lines, details: purpose.querySelector("details")!, texts: lines.map((line) => folded(line.textContent!)) };
  });
  const were = rows.map(({ details }) => details.open);
  const filter = (): void => {
    const wanted = folded(field.value.trim());
    const shown = new Set<string>();
    rows.forEach(({ purpose, lines, details, texts }, i) => {
      lines.forEach((line, j) => (line.hidden = !texts[j]!.includes(wanted)));
      for (const line of lines) if (!line.hidden) line.querySelectorAll<HTMLInputElement>("[name=services]").forEach((s) => shown.add(s.value));
      purpose.hidden = lines.every((line) => line.hidden) && !!wanted;
      details.open = wanted ? true : were[i]!;
    });
    said.textContent = wanted ? found.replace("{n}", String(shown.size)) : "";
  };
  field.addEventListener("input", filter);
  field.addEventListener("keydown", (event) => {
    // Enter would press the form's first button; Escape would close the panel before it has emptied the field.
    if (event.key != "Enter" && (event.key != "Escape" || !field.value)) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key == "Escape") {
      field.value = "";
      filter();
    }
  });
}
