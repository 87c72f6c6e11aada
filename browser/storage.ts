/**
 * Stand-ins for refused databases and caches, fetched by the guard at their first use: they live as long as the
 * page and touch nothing. IndexedDB is npm's fake-indexeddb, unmodified; what it lacks to pass for the browser's own
 * (instanceof, native key ranges) is added here from outside.
 */
import * as fake from "fake-indexeddb";

/* eslint-disable @typescript-eslint/no-explicit-any -- stands in for classes of any realm */
type Any = any;

export const indexedDB: IDBFactory = fake.indexedDB;

const ordinary = Function.prototype[Symbol.hasInstance];
for (const [name, type] of Object.entries(fake) as [string, Any][]) {
  const native = (globalThis as Any)[name];
  if (!/^IDB/.test(name) || !native) continue;
  // Libraries ask `x instanceof IDBRequest`; the stand-in's functions ask for its own key range.
  const both = { value: (x: unknown): boolean => ordinary.call(native, x) || ordinary.call(type, x), configurable: true };
  try {
    Object.defineProperty(native, Symbol.hasInstance, both);
    if (name === "IDBKeyRange") Object.defineProperty(type, Symbol.hasInstance, both);
  } catch {
    // A page that froze its classes loses instanceof, nothing else.
  }
}

/** Lets the request the page already holds follow the stand-in's. */
export function forward(request: Any, method: "open" | "deleteDatabase", args: [string, number?]): void {
  const follow = (source: Any): void => {
    for (const name of ["result", "error", "transaction"]) {
      try {
        request[name] = source[name];
      } catch {
        request[name] = null; // `result` of a failed request throws
      }
    }
    request.readyState = source.readyState;
  };
  const tell = (type: string, from: Any, source?: Any): void => {
    if (source) follow(source);
    const event = "newVersion" in from ? new IDBVersionChangeEvent(type, { oldVersion: from.oldVersion, newVersion: from.newVersion }) : new Event(type, { bubbles: from.bubbles, cancelable: from.cancelable });
    request.addEventListener(type, handler, { once: true });
    if (!request.dispatchEvent(event)) from.preventDefault();
    function handler(this: unknown, e: Event): void {
      if (typeof request["on" + type] === "function") request["on" + type].call(request, e);
    }
  };
  let source: Any;
  try {
    source = (indexedDB[method] as Any)(...args);
  } catch (error) {
    request.error = error;
    request.readyState = "done";
    tell("error", new Event("error"));
    return;
  }
  for (const type of ["upgradeneeded", "blocked", "success", "error"]) source["on" + type] = (event: Any) => tell(type, event, source);
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
if ("Cache" in globalThis) Object.defineProperty(Cache, Symbol.hasInstance, { value: (x: unknown) => x instanceof PageCache || ordinary.call(Cache, x), configurable: true });

const pageCaches = new Map<string, PageCache>();

/** A CacheStorage method over the refused names (`go` calls the real one, `real` says which names it may show). */
export async function caches(method: string, args: Any[], go: () => Promise<Any>, real: (name: string) => boolean, storage: CacheStorage): Promise<Any> {
  const name = String(args[0]);
  if (method === "keys") return [...(await go()).filter(real), ...pageCaches.keys()];
  if (method === "match") {
    const [request, options] = args as [RequestInfo, MultiCacheQueryOptions?];
    for (const key of [...(await storage.keys())]) {
      if (options?.cacheName !== undefined && options.cacheName !== key) continue;
      const found = await (await storage.open(key)).match(request, options);
      if (found) return found;
    }
    return undefined;
  }
  if (!args.length) return go();
  if (method === "open" && !pageCaches.has(name)) pageCaches.set(name, new PageCache());
  return method === "open" ? pageCaches.get(name) : method === "has" ? pageCaches.has(name) : pageCaches.delete(name);
}
