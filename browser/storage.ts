/**
 * The stand-in for refused databases, fetched by the guard at their first use: it lives as long as the page and
 * touches nothing. It is npm's fake-indexeddb, unmodified; what it lacks to pass for the browser's own (instanceof,
 * native key ranges) is added here from outside.
 */
import * as fake from "fake-indexeddb";

/* eslint-disable @typescript-eslint/no-explicit-any -- stands in for classes of any realm */
type Any = any;

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
    if (!request.dispatchEvent(event)) from.preventDefault();
  };
  for (const type of ["upgradeneeded", "blocked", "success", "error"]) request.addEventListener(type, (event: Event) => request["on" + type]?.(event));
  let source: Any;
  try {
    source = (fake.indexedDB[method] as Any)(...args);
  } catch (error) {
    request.error = error;
    request.readyState = "done";
    tell("error", new Event("error"));
    return;
  }
  for (const type of ["upgradeneeded", "blocked", "success", "error"]) source["on" + type] = (event: Any) => tell(type, event, source);
}
