/**
 * *Paramétrer vos choix*: the panel page shown in a native modal dialog, so that the page underneath stays.
 *
 * Fetched at the first opening. The panel comes whole from the server, as a document: nothing is parsed from text here,
 * which pages with Trusted Types forbid, and its style comes in a template, which pages with a strict policy don't report. Whatever fails rejects, and the guard then lets the form go to the page itself.
 * On that page the same file only makes the switches follow each other.
 */
import type { Hooks } from "./contract";

const mark = Symbol.for("volens");

/** Switching a purpose moves its services; the last service switched off takes its purpose along. */
export function follow(form: HTMLElement): void {
  const all = (name: string): HTMLInputElement[] => [...form.querySelectorAll<HTMLInputElement>(`input[name="${name}"]`)];
  const purposes = all("purposes");
  const services = all("services");
  const needs = (service: HTMLInputElement): string[] => (service.dataset.purposes || "").split(" ");
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

function fetched(url: string): Promise<Document> {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("GET", url);
    request.responseType = "document";
    request.onload = () => (request.response ? done(request.response as Document) : fail(request));
    request.onerror = fail;
    request.send();
  });
}

async function open(host: HTMLElement, hooks: Hooks): Promise<void> {
  const root = host.shadowRoot!;
  if (root.querySelector("dialog")) return;
  const opener = root.activeElement as HTMLElement | null;
  const script = host.dataset.panel!;
  const at = location.origin + script.slice(0, script.lastIndexOf("/") + 1);
  const back = encodeURIComponent(location.pathname + location.search);
  const page = await fetched(`${at}panel?language=${host.lang}&back=${back}&part=1`);
  const main = page.querySelector("main")!;
  const dialog = document.createElement("dialog");
  const inner = document.createElement("div");
  dialog.id = "volens-panel";
  dialog.setAttribute("aria-labelledby", "volens-panel-title");
  inner.className = main.className;
  inner.append(...[...main.childNodes].map((node) => document.importNode(node, true)));
  dialog.append(inner);
  const form = dialog.querySelector("form")!;
  // A page's <base> must not lead our addresses elsewhere.
  form.setAttribute("action", at + "choice");
  for (const link of dialog.querySelectorAll("a")) {
    const to = link.getAttribute("href") || "";
    if (/^\/(?!\/)/.test(to)) link.setAttribute("href", location.origin + to);
  }
  follow(form);
  find(form);

  const field = (name: string): string[] => new FormData(form).getAll(name).map(String);
  let sent = false;
  dialog.addEventListener("submit", (event) => {
    event.preventDefault();
    event.stopPropagation();
    if (sent) return;
    sent = true;
    const answer = (event.submitter as HTMLButtonElement).value;
    const fields: Record<string, unknown> = { answer, purposes: field("purposes"), services: field("services"), object: field("object") };
    for (const name of ["notice", "language", "surface", "back", "token"]) if (field(name)[0]) fields[name] = field(name)[0];
    hooks.post(fields).then(
      (reply) => {
        dialog.close();
        hooks.apply(reply);
      },
      () => {
        // Stale, not recorded, unreachable: the page that the form leads to says which.
        const chosen = document.createElement("input");
        Object.assign(chosen, { type: "hidden", name: "answer", value: answer });
        form.append(chosen);
        HTMLFormElement.prototype.submit.call(form);
      },
    );
  });
  dialog.querySelector(".x")!.addEventListener("click", (event) => {
    event.preventDefault();
    dialog.close();
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    host.removeAttribute("data-open");
    const shown = opener?.isConnected && opener.getClientRects().length ? opener : root.getElementById("volens-band");
    shown?.focus();
  });

  if (!root.adoptedStyleSheets.length) {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(page.querySelector("template")!.content.querySelector("style")!.textContent!);
    root.adoptedStyleSheets = [sheet];
  }
  root.append(dialog);
  dialog.showModal();
  host.setAttribute("data-open", "");
}

const host = document.querySelector<HTMLElement>("volens-notice");
const hooks = host && ((host as unknown as Record<symbol, unknown>)[mark] as Hooks | undefined);
if (host && hooks) hooks.open = () => open(host, hooks);

// A page of its own: back to where the visitor came from, where the address doesn't say.
const own = document.querySelector<HTMLElement>("main.v");
if (own && !hooks) {
  const form = own.querySelector("form");
  follow(own);
  if (form) find(form);
  // The first layer's link to the list of services shows the list.
  if (location.hash == "#services") for (const details of own.querySelectorAll<HTMLDetailsElement>(".purpose:has([name=purposes])>details")) details.open = true;
  const from = document.referrer.startsWith(location.origin + "/") && !/[?&]back=/.test(location.search) ? new URL(document.referrer) : null;
  const field = own.querySelector<HTMLInputElement>("input[name=back]");
  const close = own.querySelector<HTMLElement>(".x");
  if (from && field) field.value = from.pathname + from.search;
  if (from && close) close.setAttribute("href", from.href);
  addEventListener("keydown", (event) => {
    if (event.key == "Escape") close?.click();
  });
}
