/**
 * Before a page is made again for a changed choice: what it held virtually and may now keep is written for real, and
 * where the visitor was (scroll position, typed text) is kept for the moment of the reload under one sessionStorage
 * key, deleted on reading. Strictly necessary, and nothing a site could not keep itself.
 */
type Kept = { at: string; x: number; y: number; fields: [number, string, string | boolean][] };

const KEY = "volens-keep";
const MAX = 200_000;

const inputs = (): (HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement)[] =>
  [...document.querySelectorAll<HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement>("input,textarea,select")].filter(
    (field) => !/^(password|hidden|file|submit|button|image|reset)$/.test(field.type) && !/cc-|one-time-code/.test(field.autocomplete),
  );
const ticked = (field: Element): field is HTMLInputElement => field instanceof HTMLInputElement && /^(checkbox|radio)$/.test(field.type);
const glob = (list: string[] = []): ((name: string) => boolean) => {
  const all = list.map((x) => (x.endsWith("*") ? x.slice(0, -1) : x + "\0"));
  return (name) => all.some((x) => (name + "\0").startsWith(x));
};

/** `session` is the guard's face of sessionStorage; names under "volens" pass to the real one. */
export function leave(
  write: (where: "cookie" | "localStorage" | "sessionStorage", name: string, value: string) => void,
  keep: { C?: string[]; S?: string[] } | undefined,
  jar: Map<string, string>,
  areas: Record<string, Map<string, string>>,
): void {
  const cookie = glob(keep?.C);
  const item = glob(keep?.S);
  for (const [name, text] of jar) if (cookie(name)) write("cookie", name, text);
  for (const where of ["localStorage", "sessionStorage"] as const) for (const [name, value] of areas[where] ?? []) if (item(name)) write(where, name, value);
  const fields: Kept["fields"] = [];
  inputs().forEach((field, i) => {
    if (ticked(field)) {
      if (field.checked !== field.defaultChecked) fields.push([i, field.name, field.checked]);
    } else if (field instanceof HTMLSelectElement || field.value !== field.defaultValue) fields.push([i, field.name, field.value]);
  });
  const text = JSON.stringify({ at: location.href, x: scrollX, y: scrollY, fields } satisfies Kept);
  if (text.length <= MAX) write("sessionStorage", KEY, text);
}

/** Puts back what `leave` kept; `text` has been read and deleted by the guard. */
export function arrive(text: string): void {
  const kept = JSON.parse(text) as Kept;
  if (kept.at !== location.href) return;
  const put = (): void => {
    const all = inputs();
    for (const [i, name, value] of kept.fields) {
      const field = all[i];
      if (!field || field.name !== name) continue;
      if (ticked(field)) field.checked = value === true;
      else field.value = String(value);
      field.dispatchEvent(new Event("input", { bubbles: true }));
      field.dispatchEvent(new Event("change", { bubbles: true }));
    }
    scrollTo(kept.x, kept.y);
  };
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", put);
  else put();
}
