/**
 * What the guard does when it may wait for a promise, fetched at first use: cookieStore, CacheStorage, and what
 * follows an answer.
 *
 * Before a page is made again for a changed choice, what it held virtually and may now keep is written for real, and
 * where the visitor was (scroll position, typed text) is kept for the moment of the reload under one sessionStorage
 * key, deleted on reading: strictly necessary, and nothing a site could not keep itself.
 */
import type { Answer, Config, Hooks, Inside } from "./contract";

/* eslint-disable @typescript-eslint/no-explicit-any -- stands in for methods of any signature */
type Any = any;

// --- What follows an answer.

type Kept = { at: string; x: number; y: number; fields: [string, string | boolean][] };

const mark: unique symbol = Symbol.for("volens") as never;
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
/** As the guard's: a name, `*` for any characters, `#` for a number. */
const glob = (list: string[] = []): ((name: unknown) => boolean) => {
  const form = RegExp(`^(${["volens*", ...list].map((x) => x.replace(/[^*\w]/g, "\\$&").replace(/\*/g, ".*").replace("\\#", "\\d+")).join("|")})$`);
  return (name) => form.test(String(name));
};

function leave({ allow, jar, areas }: Inside, keep: Answer["keep"]): void {
  if (keep) {
    allow(keep);
    const cookie = glob(keep.C);
    const item = glob(keep.S);
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
  const text = JSON.stringify({ at: location.href, x: scrollX, y: scrollY, fields: typed } satisfies Kept);
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

/** The choice is another than this page was made for: by `answer`, or as another tab left it. */
export async function follow(inside: Inside, answer?: Answer): Promise<void> {
  const { config, host } = inside;
  inside.choice = /(?:^|; )volens=([^;]*)/.exec(document.cookie)?.[1] ?? "";
  const other = meaning(inside.choice) !== meaning(config.c);
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
    if (meaning(inside.choice) === "-") host.dataset.storage = host.dataset.profiles = "no"; // now the visitor's own word
  }
  if (!(answer ? answer.reload : other)) return;
  if (!answer && opened(meaning(config.c), meaning(inside.choice))) {
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

const at = (inside: Inside): string => self.origin + inside.config.p;

function hooks(inside: Inside): Hooks {
  return {
    post: async (fields) => {
      const reply = await fetch(at(inside) + "choice", {
        method: "POST",
        keepalive: true,
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(fields),
      });
      if (!reply.ok) throw reply;
      return (await reply.json()) as Answer;
    },
    apply: (answer) => follow(inside, answer),
  };
}

/** The visitor pressed a button of the first layer; rejects where the answer did not arrive. */
export async function answer(inside: Inside, form: HTMLFormElement, value: string): Promise<void> {
  const { post, apply } = hooks(inside);
  const fields = new FormData(form);
  await apply(await post({ ...Object.fromEntries([...fields.keys()].map((name) => [name, fields.getAll(name)])), answer: value }));
}

/** Shows the panel; rejects where it cannot be loaded. */
export async function open(inside: Inside): Promise<void> {
  const host = inside.host as (HTMLElement & { [mark]?: Hooks }) | undefined;
  if (!host) throw new TypeError("This page has no notice.");
  if (!host[mark]) Object.defineProperty(host, mark, { value: hooks(inside) });
  await import(new URL(host.dataset.panel!, at(inside)).href);
  await host[mark]!.open!();
}

// --- Stand-ins that answer by promise.

/** The methods of cookieStore over the cookies that pass and the page's own, which document.cookie holds. */
export async function CookieStore({ config }: Inside, method: string, args: Any[], go: () => Any): Promise<Any> {
  const cookies = glob(config.C);
  const [first] = args;
  const name = Object(first) === first ? first.name : first;
  if (method === "set" || method === "delete") {
    if (name === undefined || cookies(name)) return go();
    const { value, expires = null } = Object(first) === first ? first : { value: args[1] };
    if (/[;=\0-\x1f\x7f]/.test(name) || /[;\0-\x1f\x7f]/.test(value)) throw new TypeError("Cookie name or value contains a character that is not allowed.");
    document.cookie = method === "delete" ? `${name}=; max-age=0` : `${name}=${value}${expires === null ? "" : `; expires=${new Date(expires).toUTCString()}`}`;
    return undefined;
  }
  const all = [await go()].flat().filter((c) => c && cookies(c.name));
  for (const text of document.cookie.split("; ")) {
    const [, key, value] = /^([^=]*)=?(.*)$/.exec(text)!;
    if (text && !cookies(key) && (name == null || key === String(name))) all.push({ name: key, value });
  }
  return method === "get" ? (all[0] ?? null) : all;
}

const url = (request: RequestInfo | URL): Request => (request instanceof Request ? request : new Request(request));

/** One cache: what was put, newest last. */
class PageCache {
  #entries: [Request, Response][] = [];

  #find(request: RequestInfo | URL | undefined, options: CacheQueryOptions = {}): [Request, Response][] {
    if (request === undefined) return [...this.#entries];
    const wanted = url(request);
    if (wanted.method !== "GET" && !options.ignoreMethod) return [];
    const of = (r: Request): string => {
      const u = new URL(r.url);
      u.hash = "";
      if (options.ignoreSearch) u.search = "";
      return u.href;
    };
    return this.#entries.filter(
      ([kept, reply]) =>
        of(kept) === of(wanted) &&
        (options.ignoreVary ||
          (reply.headers.get("Vary") ?? "").split(",").every((name) => !name.trim() || (name.trim() !== "*" && kept.headers.get(name.trim()) === wanted.headers.get(name.trim())))),
    );
  }

  async match(request: RequestInfo | URL, options?: CacheQueryOptions): Promise<Response | undefined> {
    return this.#find(request, options)[0]?.[1].clone();
  }

  async matchAll(request?: RequestInfo | URL, options?: CacheQueryOptions): Promise<Response[]> {
    return this.#find(request, options).map(([, reply]) => reply.clone());
  }

  async put(request: RequestInfo | URL, response: Response): Promise<void> {
    const key = url(request);
    if (key.method !== "GET" || !/^https?:/.test(key.url) || response.status === 206 || response.headers.get("Vary")?.includes("*"))
      throw new TypeError("Failed to execute 'put' on 'Cache': this request or response cannot be kept.");
    const body = await response.blob();
    const kept = new Response(body.size || response.body ? body : null, response);
    await this.delete(key);
    this.#entries.push([key, kept]);
    if (this.#entries.length > 500) this.#entries.shift(); // bounded: it lives in the page's memory
  }

  async add(request: RequestInfo | URL): Promise<void> {
    await this.addAll([request]);
  }

  async addAll(requests: (RequestInfo | URL)[]): Promise<void> {
    const replies = await Promise.all(requests.map((request) => fetch(request)));
    if (!replies.every((reply) => reply.ok)) throw new TypeError("Failed to execute 'addAll' on 'Cache': Request failed");
    await Promise.all(replies.map((reply, i) => this.put(requests[i]!, reply)));
  }

  async delete(request: RequestInfo | URL, options?: CacheQueryOptions): Promise<boolean> {
    const gone = new Set(this.#find(request, options));
    this.#entries = this.#entries.filter((entry) => !gone.has(entry));
    return gone.size > 0;
  }

  async keys(request?: RequestInfo | URL, options?: CacheQueryOptions): Promise<Request[]> {
    return this.#find(request, options).map(([kept]) => kept.clone());
  }
}
const ordinary = Function.prototype[Symbol.hasInstance];
if ("Cache" in globalThis) Object.defineProperty(Cache, Symbol.hasInstance, { value: (x: unknown) => x instanceof PageCache || ordinary.call(Cache, x), configurable: true });

const pageCaches = new Map<string, PageCache>();

/** The methods of CacheStorage over the names that pass and the page's own. */
export async function CacheStorage({ config }: Inside, method: string, args: Any[], go: () => Promise<Any>, storage: CacheStorage): Promise<Any> {
  const items = glob(config.S);
  const name = String(args[0]);
  if (method === "keys") return [...(await go()).filter(items), ...pageCaches.keys()];
  if (method === "match") {
    const [request, options] = args as [RequestInfo, MultiCacheQueryOptions?];
    for (const key of await storage.keys()) {
      if (options?.cacheName !== undefined && options.cacheName !== key) continue;
      const found = await (await storage.open(key)).match(request, options);
      if (found) return found;
    }
    return undefined;
  }
  if (!args.length || items(name)) return go();
  if (method === "open" && !pageCaches.has(name)) pageCaches.set(name, new PageCache());
  return method === "open" ? pageCaches.get(name) : method === "has" ? pageCaches.has(name) : pageCaches.delete(name);
}

/** What navigator.geolocation answers where the visitor has refused it. */
export function nowhere(failed?: (error: Any) => void): void {
  failed?.({ code: 1, message: "User denied Geolocation", PERMISSION_DENIED: 1, POSITION_UNAVAILABLE: 2, TIMEOUT: 3 });
}
