/**
 * What follows an answer. Before a page is made again for a changed choice, what it held virtually and may now keep is
 * written for real, and where the visitor was (scroll position, typed text) is kept for the moment of the reload under
 * one sessionStorage key, deleted on reading: strictly necessary, and nothing a site could not keep itself.
 */
import type { Answer, Config, Inside } from "./contract";

type Kept = { at: string; x: number; y: number; keys: boolean; fields: [string, string | boolean][] };

const KEY = "volens-keep";
const MAX = 200_000;

const inputs = (): (HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement)[] =>
  [...document.querySelectorAll<HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement>("input,textarea,select")].filter(
    (field) => !/^(password|hidden|file|submit|button|image|reset)$/.test(field.type) && !/cc-|one-time-code/.test(field.autocomplete),
  );
/** Each field by what it is and the how-manieth of its kind: a page that allows more holds more fields than before. */
const fields = (): Map<string, HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement> => {
  const all = new Map<string, HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement>();
  for (const field of inputs()) {
    const kind = [field.type, field.name, field.id, field.className].join("\n");
    let n = 0;
    while (all.has(kind + n)) n++;
    all.set(kind + n, field);
  }
  return all;
};
const ticked = (field: Element): field is HTMLInputElement => field instanceof HTMLInputElement && /^(checkbox|radio)$/.test(field.type);
/** As the guard's. */
export const form = (source = "$^"): ((name: unknown) => boolean) => {
  const whole = RegExp(`^(${source})$`);
  return (name) => whole.test(String(name));
};

/** What of the notice has the focus, where the keyboard put it there. */
const held = (host?: HTMLElement): Element | null | undefined => host?.shadowRoot?.activeElement?.closest(":focus-visible");

function leave({ allow, jar, areas, host }: Inside, keep: Answer["keep"]): void {
  if (keep) {
    allow(keep);
    const cookie = form(keep.C);
    const item = form(keep.S);
    for (const [name, text] of jar) if (cookie(name)) document.cookie = text;
    for (const where of ["localStorage", "sessionStorage"] as const)
      for (const [name, value] of areas[where] ?? []) if (item(name)) globalThis[where].setItem(name, value);
  }
  const typed: Kept["fields"] = [];
  for (const [key, field] of fields()) {
    if (ticked(field)) {
      if (field.checked !== field.defaultChecked) typed.push([key, field.checked]);
    } else if (field instanceof HTMLSelectElement || field.value !== field.defaultValue) typed.push([key, field.value]);
  }
  const text = JSON.stringify({ at: location.href, x: scrollX, y: scrollY, keys: !!held(host), fields: typed } satisfies Kept);
  if (text.length <= MAX) sessionStorage.setItem(KEY, text);
}

/** Puts back what `leave` kept. */
export function arrive(): void {
  const kept = JSON.parse(sessionStorage.getItem(KEY)!) as Kept;
  sessionStorage.removeItem(KEY);
  if (kept.at !== location.href) return;
  const missing = new Map(kept.fields);
  const fill = (): void => {
    const all = fields();
    for (const [key, value] of missing) {
      const field = all.get(key);
      if (!field) continue;
      missing.delete(key);
      if (ticked(field)) field.checked = value === true;
      else field.value = String(value);
      field.dispatchEvent(new Event("input", { bubbles: true }));
      field.dispatchEvent(new Event("change", { bubbles: true }));
    }
    if (!missing.size) late.disconnect();
  };
  // A comment engine makes its fields when it has loaded.
  const late = new MutationObserver(fill);
  const put = (): void => {
    late.observe(document, { childList: true, subtree: true });
    setTimeout(() => late.disconnect(), 10_000);
    fill();
    scrollTo(kept.x, kept.y);
    // Who answered by keyboard goes on where the answer is shown.
    if (kept.keys) document.querySelector("volens-notice")?.shadowRoot?.getElementById("volens-band")?.focus({ preventScroll: true });
  };
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", put);
  else put();
}

/** The answers in the text of a choice; none and a refusal mean the same to a page. */
const meaning = (choice = ""): string => choice.split(".")[3] || "-";

/** Only single services were added: what opened, opened in its frame, and the page around it stays. */
function opened(before: string, now: string): boolean {
  const had = before.split("~");
  const has = now.split("~");
  return had.every((item) => item === "-" || has.includes(item)) && has.every((item) => had.includes(item) || item[0] === "+");
}

/** The band as the server draws it now, in place of the one that stands. */
async function band({ config, host }: Inside): Promise<void> {
  const root = host?.shadowRoot;
  if (!root) return;
  const page = await new Promise<Document>((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("GET", `${self.origin}${config.p}band?language=${host.lang}&back=${encodeURIComponent(location.pathname + location.search)}`);
    request.responseType = "document"; // not text: pages with Trusted Types may not parse any
    request.onload = () => (request.response ? done(request.response as Document) : fail(request));
    request.onerror = fail;
    request.send();
  });
  const fresh = page.querySelector<HTMLElement>("volens-notice")!;
  const button = fresh.querySelector("template")!.content.querySelector("#volens-band")!;
  root.querySelector("#volens-band")!.replaceWith(document.importNode(button, true));
  Object.assign(host.dataset, { storage: fresh.dataset.storage, profiles: fresh.dataset.profiles });
}

/** Placeholders of a service that is now allowed give way to what their frames' own addresses show. */
function reveal(config: Config, allowed: string[]): void {
  for (const frame of document.querySelectorAll<HTMLIFrameElement>(`iframe[srcdoc][src*="${config.p}embed/"]`)) {
    const service = frame.contentDocument?.querySelector<HTMLInputElement>("[name=services]");
    if (service && allowed.includes(`+${service.value}`)) frame.removeAttribute("srcdoc");
  }
}

/** The choice is another than this page was made for: by `answer`, or as another tab left it; of an account's choice no cookie tells. */
export async function follow(inside: Inside, answer?: Answer): Promise<void> {
  const { config, host } = inside;
  const account = config.u != null;
  inside.choice = account ? (answer?.choice ?? inside.choice) : (/(?:^|; )volens=([^;]*)/.exec(document.cookie)?.[1] ?? "");
  // A grant without a choice is the law's of the place (regimes): any answer is another.
  const other = account || meaning(inside.choice) !== meaning(config.c) || !!(config.k && !config.c && inside.choice);
  if (account) config.u = inside.choice;
  for (const f of inside.on) {
    try {
      f(inside.choice);
    } catch (error) {
      reportError(error); // the site's own
    }
  }
  if (answer) inside.channel?.postMessage(0);
  if (host && inside.choice) {
    host.toggleAttribute("data-answered", true);
    const ask = (host.shadowRoot ?? host).querySelector<HTMLElement>("#volens-ask");
    if (ask) ask.hidden = true;
    if (answer && document.activeElement == document.body) host.shadowRoot?.getElementById("volens-band")?.focus();
    if (meaning(inside.choice) === "-") host.dataset.storage = host.dataset.profiles = "no"; // now the visitor's own word
  }
  if (!(answer ? answer.reload : other)) return;
  if (!answer && !account && opened(meaning(config.c), meaning(inside.choice))) {
    config.c = inside.choice;
    reveal(config, meaning(config.c).split("~"));
    await band(inside).catch(() => 0); // the next page says it
    return;
  }
  if (config.m) return; // the answer to a POST is not asked for again: the choice applies from the next page
  try {
    leave(inside, answer?.keep);
  } catch {
    // Storage may be full or forbidden: the choice counts more than the scroll position.
  }
  location.reload();
}

/** Our own address: a page's <base> must not lead it elsewhere. */
export const at = (inside: Inside): string => self.origin + inside.config.p;

/** Sends the fields of POST choice; rejects with the Response, or with the network's error. */
export async function post(inside: Inside, fields: Record<string, unknown>): Promise<Answer> {
  const reply = await fetch(at(inside) + "choice", {
    method: "POST",
    keepalive: true,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(fields),
  });
  if (!reply.ok) throw reply;
  return (await reply.json()) as Answer;
}

/** The visitor pressed a button of the first layer; rejects where the answer did not arrive. */
export async function answer(inside: Inside, form: HTMLFormElement, value: string): Promise<void> {
  const fields = new FormData(form);
  await follow(inside, await post(inside, { ...Object.fromEntries([...fields.keys()].map((name) => [name, fields.getAll(name)])), answer: value }));
}
