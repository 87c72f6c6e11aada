/**
 * What the guard does when it may wait for a promise, fetched at first use: what follows an answer, cookieStore and
 * CacheStorage.
 */
import { form } from "./answer";
import type { Inside } from "./contract";

export { answer, arrive, follow } from "./answer";

/* eslint-disable @typescript-eslint/no-explicit-any -- stands in for methods of any signature */
type Any = any;

// --- Stand-ins that answer by promise.

/** The methods of cookieStore over the cookies that pass and the page's own, which document.cookie holds. */
async function cookies({ config }: Inside, method: string, args: Any[], go: () => Any): Promise<Any> {
  const passes = form(config.C);
  const [first] = args;
  const name = Object(first) === first ? first.name : first;
  if (method === "set" || method === "delete") {
    if (/^\s*volens/.test(name)) return; // as the guard's
    if (name === undefined || passes(name)) return go();
    const { value, expires = null } = Object(first) === first ? first : { value: args[1] };
    if (/[;=\0-\x1f\x7f]/.test(name) || /[;\0-\x1f\x7f]/.test(value)) throw new TypeError("Cookie name or value contains a character that is not allowed.");
    document.cookie = method === "delete" ? `${name}=; max-age=0` : `${name}=${value}${expires === null ? "" : `; expires=${new Date(expires).toUTCString()}`}`;
    return undefined;
  }
  const all = [await go()].flat().filter((c) => c && passes(c.name));
  for (const text of document.cookie.split("; ")) {
    const [, key, value] = /^([^=]*)=?(.*)$/.exec(text)!;
    if (text && !passes(key) && (name == null || key === String(name))) all.push({ name: key, value });
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
async function caches({ config }: Inside, method: string, args: Any[], go: () => Any, storage: CacheStorage): Promise<Any> {
  const items = form(config.S);
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

/** What methods answer that answer by promise; those of geolocation by the function they are given. */
export async function answers(inside: Inside, me: Any, method: string, args: Any[], go: () => Any): Promise<Any> {
  switch (me[Symbol.toStringTag]) {
    case "CookieStore":
      return cookies(inside, method, args, go);
    case "CacheStorage":
      return caches(inside, method, args, go, me);
    case "IDBFactory":
      return (await go()).filter(({ name }: Any) => form(inside.config.S)(name));
    case "Geolocation":
      return void args[1]?.({ code: 1, message: "User denied Geolocation", PERMISSION_DENIED: 1, POSITION_UNAVAILABLE: 2, TIMEOUT: 3 });
    case "StorageBucketManager":
      if (method !== "open") return go();
  }
  throw new DOMException("Refused", "SecurityError");
}
