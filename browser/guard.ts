/**
 * The guard: what a refusal means inside the page, where no header reaches (DESIGN §3, "Virtual storage").
 *
 * One function, because its own source travels: the page's first script calls it, blob workers get it prepended as
 * text, and about:blank realms are patched from the realm that made them. So it may use nothing outside itself.
 * It is not a security boundary (the Content-Security-Policy is); every patch stands in its own narrow try.
 */
import type { Answer, Config, Hooks } from "./contract";

/* eslint-disable @typescript-eslint/no-explicit-any -- realms are handled by reflection: the names of their parts are data */
type Any = any;
/** Addresses of our own files below the reserved path, put in by the build. */
declare const __STORAGE__: string;
declare const __RELOAD__: string;
/** `go()` is the original call, with another `this` where one is given. */
type Patch = (me: Any, args: Any[], go: (me?: Any) => Any, name: string) => Any;

export function guard(config: Config, own?: HTMLScriptElement | null): void {
  const { apply, construct, defineProperty: define, getOwnPropertyDescriptor: describe, get: read }: Any = Reflect;
  const { create, setPrototypeOf, freeze, fromEntries } = Object;
  const home: Any = self;
  const mark = Symbol.for("volens");
  const at = config.p || "/_volens/";
  const origin = home.origin;
  const doc: Document | undefined = home.document;
  const fetched = home.fetch;
  const nonce = own?.nonce;
  const files: Record<string, Promise<Any>> = {};
  /** Our own files, at first use. import() carries the nonce of this script and asks nothing of Trusted Types. */
  const file = (url: string): Promise<Any> => (files[url] ||= import(origin + at + url));
  const standIn = (): Promise<Any> => file(__STORAGE__);

  const attempt = <T>(f: () => T): T | undefined => {
    try {
      return f();
    } catch {
      return undefined;
    }
  };
  /** Puts `f` around methods, constructors (part "value") or accessors ("get", "set"); a Proxy keeps name, length and toString. */
  const wrap = (object: Any, names: string, f: Patch, part: "value" | "get" | "set" = "value"): void => {
    if (object)
      for (const name of names.split(" "))
        attempt(() => {
          const found: Any = describe(object, name);
          if (!found?.[part]) return;
          const old = found[part];
          found[part] = new Proxy(old, {
            apply: (t, me, args) => f(me, args, (x = me) => apply(t, x, args), name),
            construct: (t, args, target) => f(target, args, () => construct(t, args, target), name),
          });
          define(object, name, found);
          if (old.prototype) old.prototype.constructor = found[part];
        });
  };
  const glob = (list: string[] = []): ((name: Any) => boolean) => {
    const form = new RegExp(
      `^(${list
        .concat("\n")
        .map((x) => x.replace(/[^*\w]/g, "\\$&").replace(/\*/g, "[^]*"))
        .join("|")})$`,
    );
    return (name) => form.test(name);
  };
  const cookies = glob(config.C);
  const items = glob(config.S);
  const hosts = glob(config.H);
  const images = glob(config.I);
  const denied = glob(config.D);
  const paths = config.P && new RegExp(config.P);
  const address = (url: Any): URL => new URL(url, doc?.baseURI || origin);
  /** 0 allowed, 1 an image where the markup says so, 2 unlisted, 3 denied, or a first-party collection path. */
  const kind = (url: Any): number =>
    attempt(() => {
      const u = address(url);
      const name = u.hostname;
      return !/^(http|ws)/.test(u.protocol)
        ? 0
        : name == new URL(origin).hostname
          ? paths && paths.test(u.pathname + u.search)
            ? 3
            : 0
          : denied(name)
            ? 3
            : hosts(name)
              ? 0
              : images(name)
                ? 1
                : 2;
    }) || 0;

  // --- Virtual storage: what is refused is read back for the life of the page and touches nothing.
  const jar = new Map<string, string>();
  const areas: Record<string, Map<string, string>> = {};
  let room = 5e6;
  const pairOf = (text: string): string => text.split(";", 1)[0]!.trim();
  const nameOf = (pair: string): string => (pair.includes("=") ? pair.split("=", 1)[0]!.trim() : "");
  const seen = (name: string): boolean => /^volens/.test(name) || cookies(name);
  const put = (text: string, go: () => Any): Any => {
    const name = nameOf(pairOf(text));
    if (/^volens/.test(name)) return;
    if (cookies(name)) return go();
    const age = /;\s*max-age=\s*(-?\d+)/i.exec(text);
    jar.delete(name);
    if (!(age ? +age[1]! <= 0 : Date.parse(/;\s*expires=([^;]*)/i.exec(text)?.[1] || "") < Date.now()) && text.length < 4097 && jar.size < 180)
      jar.set(name, text);
  };

  const refusal = (realm: Any, name = "SecurityError"): Any => new realm.DOMException("Refused by the visitor's choice.", name);

  // --- Markup made by script.
  const hook = `<script nonce="${nonce || ""}">parent[Symbol.for("volens")]?.(self)</script>`;
  const framed = "iframe,frame,object,embed";
  const judged = framed + ",link,img,source,input,script,a";
  const carried = (el: Element, name: string, value: string): boolean => [...el.attributes].some((a) => a.name != name && a.value.includes(value));
  /** What an attribute may become. */
  const judge = (el: Any, name: string, value: string): string =>
    attempt(() => {
      const tag = el.localName;
      const bad = kind(value);
      if (name == "srcdoc") return value.startsWith(hook) ? value : hook + value;
      if (name == "type") return tag == "script" && /^\s*speculationrules/i.test(value) ? "text/plain" : value;
      if (tag == "link") {
        const to = name == "href" ? bad : kind(el.getAttribute("href") || "");
        return (name == "href" || name == "rel") && to && /pre|dns/i.test(name == "rel" ? value : el.rel) ? "" : value;
      }
      if (/^(src|data)$/.test(name)) {
        if (/^(i?frame|object|embed)$/.test(tag))
          return bad
            ? at + "embed/frame?u=" + encodeURIComponent(address(value).href)
            : value.replace(/^\s*javascript:/i, '$&try{parent[Symbol.for("volens")](self)}catch{};');
        return tag == "script" ? (bad > 2 ? "data:," : value) : bad && !carried(el, name, value) ? "data:," : value;
      }
      if (name == "ping") return bad ? "" : value;
      if (name == "srcset") return value.split(/[\s,]+/).some((u) => /\//.test(u) && kind(u)) && !carried(el, name, value) ? "" : value;
      return value;
    }) ?? value;

  /** Patches one realm: a window, or the global scope of a worker. */
  const patch = (realm: Any): void => {
    const proto = (name: string): Any => realm[name]?.prototype;
    const page: Document | undefined = realm.document;
    define(realm, mark, { value: adopt });

    wrap(proto("Document"), "cookie", (_me, _args, go) => {
      const out = go().split("; ").filter((pair: string) => pair && seen(nameOf(pair)));
      for (const text of jar.values()) out.push(pairOf(text));
      return out.join("; ");
    }, "get");
    wrap(proto("Document"), "cookie", (_me, args, go) => put((args[0] += ""), go), "set");
    wrap(proto("CookieStore"), "get getAll set delete", async (_me, args, go, method) => {
      const name = Object(args[0]) === args[0] ? args[0].name : args[0];
      if (method[0] != "g") {
        if (cookies(name)) return go();
        if (method == "set") put(`${name}=${name === args[0] ? args[1] : args[0].value}`, go);
        else jar.delete(name + "");
        return;
      }
      const out = ([] as Any[]).concat(await go()).filter((c) => c && seen(c.name));
      for (const [key, text] of jar) if (name == null || key == name) out.push({ name: key, value: pairOf(text).slice(key.length + 1) });
      return method == "get" ? out[0] || null : out;
    });
    wrap(proto("CookieChangeEvent"), "changed deleted", (_me, _args, go) => go().filter((c: Any) => seen(c.name)), "get");

    const known = new WeakMap<object, [Any, Map<string, string>]>();
    const storage = proto("Storage");
    if (storage) {
      const { key: keyAt, removeItem } = storage;
      const count: Any = describe(storage, "length")!.get;
      const keys = ([real, map]: [Any, Map<string, string>]): string[] => {
        const out = [];
        for (let i = 0; i < apply(count, real, []); i++) {
          const name = apply(keyAt, real, [i]);
          if (items(name)) out.push(name);
        }
        return [...out, ...map.keys()];
      };
      wrap(storage, "getItem setItem removeItem key clear", (me, args, go, method) => {
        const area = known.get(me);
        if (!area) return go();
        const [real, map] = area;
        if (method == "clear") {
          for (const name of keys(area)) if (items(name)) apply(removeItem, real, [name]);
          room = 5e6;
          return map.clear();
        }
        if (args.length < (method == "setItem" ? 2 : 1)) return go(real);
        if (method == "key") return keys(area)[args[0] >>> 0] ?? null;
        const name = (args[0] += "");
        if (items(name)) return go(real);
        const old = map.get(name);
        if (method == "getItem") return old ?? null;
        if (old != null) room += name.length + old.length;
        if (method == "setItem") {
          const value = (args[1] += "");
          if ((room -= name.length + value.length) < 0) {
            room += name.length + value.length - (old != null ? name.length + old.length : 0);
            throw refusal(realm, "QuotaExceededError");
          }
          map.set(name, value);
        } else map.delete(name);
      });
      wrap(storage, "length", (me, _args, go) => (known.has(me) ? keys(known.get(me)!).length : go()), "get");
      const { getItem, setItem, removeItem: drop } = storage;
      wrap(realm, "localStorage sessionStorage", (_me, _args, go, which) => {
        const real = go();
        if (!real) return real;
        let face: Any = made.get(real);
        if (!face) {
          const item = (name: string | symbol): Any => (typeof name == "string" ? apply(getItem, face, [name]) ?? undefined : undefined);
          face = new Proxy(create(storage), {
            get: (t, name, me) => (name in t ? read(t, name, me) : item(name)),
            has: (t, name) => name in t || item(name) != null,
            defineProperty: (t, name, d) => (typeof name == "string" ? !apply(setItem, face, [name, d.value]) : define(t, name, d)),
            deleteProperty: (t, name) => (typeof name == "string" ? !apply(drop, face, [name]) : delete t[name]),
            ownKeys: () => keys(known.get(face)!),
            getOwnPropertyDescriptor: (_t, name) => {
              const value = item(name);
              return value == null ? undefined : { value, writable: true, enumerable: true, configurable: true };
            },
          });
          const area: [Any, Map<string, string>] = [real, (areas[which] ||= new Map())];
          known.set(face, area).set(real, area);
          made.set(real, face);
        }
        return face;
      }, "get");
    }
    const made = new WeakMap<object, object>();

    wrap(proto("IDBFactory"), "open deleteDatabase", (_me, args, go, method) => {
      if (items(args[0] + "")) return go();
      const request: Any = setPrototypeOf(new EventTarget(), realm.IDBOpenDBRequest.prototype);
      for (const name of "result error source transaction onsuccess onerror onblocked onupgradeneeded".split(" "))
        define(request, name, { value: null, writable: true });
      define(request, "readyState", { value: "pending", writable: true });
      void standIn().then(
        (m) => m.forward(request, method, args),
        () => {
          const event = new Event("error");
          request.error = refusal(realm, "UnknownError");
          request.onerror?.(event);
          request.dispatchEvent(event);
        },
      );
      return request;
    });
    wrap(proto("IDBFactory"), "databases", async (_me, _args, go) =>
      (await go()).filter((d: Any) => items(d.name)).concat(files[__STORAGE__] ? await (await standIn()).indexedDB.databases() : []),
    );
    wrap(proto("CacheStorage"), "open has delete keys match", async (me, args, go, method) =>
      /[nse]$/.test(method) && args.length && items(args[0] + "") ? go() : (await standIn()).caches(method, args, go, items, me),
    );
    const refuse: Patch = async () => {
      throw refusal(realm);
    };
    wrap(proto("StorageManager"), "getDirectory", refuse);
    wrap(proto("StorageBucketManager"), "open", refuse);
    if (!config.w) {
      wrap(proto("ServiceWorkerContainer"), "register", refuse);
    }
    if (!config.g)
      wrap(proto("Geolocation"), "getCurrentPosition watchPosition", (_me, args) => {
        setTimeout(() => args[1]?.({ code: 1, message: "User denied Geolocation", PERMISSION_DENIED: 1, POSITION_UNAVAILABLE: 2, TIMEOUT: 3 }));
        return 1;
      });

    // --- Ways out that no header governs.
    const ice = (setup: Any): Any =>
      setup && {
        ...setup,
        iceServers: [...(setup.iceServers || [])].filter((server) =>
          [].concat(server.urls || server.url).every((url: Any) => !kind("http://" + /^\w+:([^?]*)/.exec(url)?.[1])),
        ),
      };
    const calls: Patch = (_me, args, go) => {
      args[0] = ice(args[0]);
      return go();
    };
    wrap(realm, "RTCPeerConnection webkitRTCPeerConnection", calls);
    wrap(proto("RTCPeerConnection"), "setConfiguration", calls);
    if (paths) {
      wrap(realm, "fetch", (_me, args, go) => (kind(args[0]?.url ?? args[0]) > 2 ? Promise.resolve(new realm.Response(null, { status: 204 })) : go()));
      wrap(proto("XMLHttpRequest"), "open", (_me, args, go) => {
        if (kind(args[1]) > 2) args[1] = "data:,";
        return go();
      });
      wrap(proto("Navigator"), "sendBeacon", (_me, args, go) => kind(args[0]) > 2 || go());
    }

    // --- Workers from blobs carry the guard in front of their own source.
    const { createObjectURL } = realm.URL;
    wrap(realm.URL, "createObjectURL", (_me, args, go) => {
      const url = go();
      if (args[0] instanceof realm.Blob) blobs.set(url, args[0]);
      return url;
    });
    wrap(realm.URL, "revokeObjectURL", (_me, args, go) => {
      blobs.delete(args[0] + "");
      return go();
    });
    wrap(realm, "Worker SharedWorker", (_me, args, go) => {
      const url = args[0] + "";
      const blob = blobs.get(url);
      if (blob) args[0] = guarded.get(url) || createObjectURL(new Blob([`(${guard})(${JSON.stringify(config)});`, blob], { type: blob.type }));
      if (blob) guarded.set(url, args[0]);
      return go();
    });

    if (!page) return;
    // --- Windows: what script inserts, and the realms it makes by inserting.
    const touch = (node: Any): void => {
      for (const el of node.querySelectorAll?.(framed) || []) el.contentDocument;
      node.contentDocument;
    };
    const set = proto("Element").setAttribute;
    const scan = (node: Any): void => {
      for (const el of [node, ...(node.querySelectorAll?.(judged) || [])])
        for (const a of el.attributes || []) {
          const value = judge(el, a.name, a.value);
          if (value !== a.value) apply(set, el, [a.name, value]);
        }
    };
    const opens: Patch = (_me, _args, go) => {
      const to = go();
      adopt(to?.defaultView || to);
      return to;
    };
    wrap(realm, "open", opens);
    for (const name of ["IFrame", "Frame", "Object"]) {
      wrap(proto(`HTML${name}Element`), "contentWindow contentDocument", opens, "get");
      wrap(proto(`HTML${name}Element`), "getSVGDocument", opens);
    }
    for (const name of ["IFrame", "Frame", "Object", "Embed", "Link", "Image", "Source", "Input", "Script", "Anchor"])
      wrap(proto(`HTML${name}Element`), "src srcdoc data href rel srcset type ping", (me, args, go, attribute) => {
        args[0] = judge(me, attribute, args[0] + "");
        return go();
      }, "set");
    wrap(proto("Element"), "setAttribute setAttributeNS", (me, args, go) => {
      const last = args.length - 1;
      args[last] = judge(me, (args[last - 1] + "").toLowerCase(), args[last] + "");
      return go();
    });
    const inserts: Patch = (me, args, go) => {
      const nodes = args.filter((x) => x?.nodeType);
      if (me.isConnected != false) for (const node of nodes) attempt(() => scan(node));
      const out = go();
      for (const node of nodes) attempt(() => touch(node));
      return out;
    };
    const inert = page.createElement("template");
    const inner: Any = describe(proto("Element"), "innerHTML")!.set;
    const clean = (html: Any): Any =>
      typeof html == "string"
        ? html.replace(/<(iframe|object|embed|link|img|source|input|script|a)\b("[^"]*"|'[^']*'|[^"'>])*>/gi, (tag) =>
            attempt(() => {
              apply(inner, inert, [tag]);
              const el = inert.content.firstElementChild!;
              const before = el.outerHTML;
              scan(el);
              return before == el.outerHTML ? tag : el.outerHTML.replace(/<\/[^>]*>$/, "");
            }) ?? tag,
          )
        : html;
    const sinks: Patch = (me, args, go) => {
      const html = args.join();
      if (/</.test(html)) args.forEach((x, i) => (args[i] = clean(x)));
      const out = go();
      if (/<(i?fram|obj|emb)e/i.test(html)) attempt(() => (touch(me), touch(page)));
      return out;
    };
    for (const name of ["Node", "Element", "Document", "DocumentFragment", "CharacterData", "ShadowRoot", "Range"]) {
      wrap(proto(name), "appendChild insertBefore replaceChild append prepend replaceChildren before after replaceWith insertAdjacentElement moveBefore insertNode surroundContents", inserts);
      wrap(proto(name), "insertAdjacentHTML setHTMLUnsafe write writeln createContextualFragment", sinks);
      wrap(proto(name), "innerHTML outerHTML", sinks, "set");
    }

    // A form to an unlisted host goes only where the visitor sees it go.
    const goes = (form: Any, button?: Any): boolean => {
      const of = (name: string): string => button?.getAttribute("form" + name) ?? form.getAttribute(name) ?? "";
      const bad = kind(of("action"));
      const to = of("target");
      const active = realm.navigator.userActivation;
      return !bad || (bad < 3 && (!active || active.isActive) && (/^_(top|blank)$/i.test(to) || ((!to || to == "_self") && realm == realm.top)));
    };
    wrap(proto("HTMLFormElement"), "submit", (me, _args, go) => goes(me) && go());
    realm.addEventListener("submit", (event: Any) => goes(event.target, event.submitter) || event.preventDefault(), true);

    if (realm == realm.top && !realm.opener)
      attempt(() => {
        let name = "";
        realm.name = "";
        define(realm, "name", { get: () => name, set: (x: Any) => { name = x + ""; }, enumerable: true, configurable: true });
      });
    new MutationObserver((records) => {
      for (const record of records) record.addedNodes.forEach((node) => attempt(() => touch(node)));
    }).observe(page, { childList: true, subtree: true });
  };
  const blobs = new Map<string, Blob>();
  const guarded = new Map<string, string>();
  /** Another window of this origin whose realm no guard has seen yet. */
  const adopt = (realm: Any): void => {
    attempt(() => {
      if (realm?.document && !realm[mark]) patch(realm);
    });
  };

  const { get: getCookie, set: setCookie }: Any = (doc && describe(Document.prototype, "cookie")) || {};
  const { getItem, setItem, removeItem }: Any = home.Storage?.prototype || {};
  const real = (area: string): (() => Storage) => describe(home, area)?.get as Any;
  const places: Any = { localStorage: real("localStorage"), sessionStorage: real("sessionStorage") };
  if (!config.a && !home[mark]) attempt(() => patch(home));
  if (!doc) return;
  if (!config.a && !config.w) attempt(() => navigator.serviceWorker.getRegistrations().then((all) => all.forEach((r) => void r.unregister())));

  // --- Asking.
  let host: Any;
  let passing = false;
  const listeners: ((choice: string) => void)[] = [];
  const text = (): string => /(?:^|; )volens=([^;]*)/.exec(apply(getCookie, doc, []))?.[1] || "";
  const meaning = (choice = ""): string => choice.split(".")[3] || "-";
  let choice = text();
  const channel = attempt(() => new BroadcastChannel("volens"));
  const hide = (on: boolean): void => {
    if (!host) return;
    host.toggleAttribute("data-answered", on);
    const ask = (host.shadowRoot || host).querySelector("#volens-ask");
    if (ask) ask.hidden = on;
  };
  const write = (where: string, name: string, value: string): void =>
    where == "cookie" ? apply(setCookie, doc, [value]) : apply(setItem, apply(places[where], home, []), [name, value]);
  /** The page was made for another choice: made again, unless it answered a POST. */
  const again = async (keep?: Answer["keep"]): Promise<void> => {
    if (config.m) {
      if (host && meaning(choice) == "-") host.dataset.storage = host.dataset.profiles = "no";
      return;
    }
    await file(__RELOAD__).then((m) => m.leave(write, keep, jar, areas)).catch(() => 0);
    location.reload();
  };
  const changed = (reload: boolean, keep?: Answer["keep"]): void => {
    choice = text();
    hide(true);
    for (const f of listeners) attempt(() => f(choice));
    if (reload) void again(keep);
  };
  const compare = (): void => {
    if (text() != choice) changed(meaning(text()) != meaning(config.c));
  };
  const hooks: Hooks = {
    post: (answer) =>
      apply(fetched, home, [origin + at + "choice", { method: "POST", keepalive: true, headers: { "Content-Type": "application/json", Accept: "application/json" }, body: JSON.stringify(answer) }]).then(
        (reply: Response) => (reply.ok ? reply.json() : Promise.reject(reply)),
      ),
    apply: (answer) => {
      changed(answer.reload, answer.keep);
      channel?.postMessage(0);
    },
  };
  const open = (): Promise<void> => import(origin + host.dataset.panel).then(() => hooks.open?.());
  const answered = (event: Any): void => {
    const form = event.target;
    const button = event.submitter;
    if (button?.name != "answer" || passing) return;
    event.preventDefault();
    const native = (): void => {
      hide(false);
      passing = true;
      form.requestSubmit(button);
    };
    if (button.value == "settings") return void open().catch(native);
    if (button.value == "refuse") hide(true);
    hooks.post({ ...fromEntries(new FormData(form)), answer: button.value }).then(hooks.apply).catch(native);
  };
  const found = new MutationObserver(() => {
    host ||= doc.querySelector("body>volens-notice");
    if (host) {
      found.disconnect();
      doc.documentElement.insertBefore(host, doc.body);
      define(host, mark, { value: hooks });
      (host.shadowRoot || host).addEventListener("submit", answered);
    } else if (doc.readyState == "complete") found.disconnect();
  });
  found.observe(doc, { childList: true, subtree: true });
  if (!home.volens)
    attempt(() =>
      define(home, "volens", {
        value: freeze({ get choice() { return choice; }, grant: config.k || "", on: (f: (choice: string) => void) => void listeners.push(f), open }),
        writable: true,
        configurable: true,
      }),
    );
  if (channel) channel.onmessage = compare;
  home.addEventListener("pageshow", (event: PageTransitionEvent) => event.persisted && compare());
  doc.addEventListener("visibilitychange", () => doc.hidden || compare());
  doc.addEventListener("prerenderingchange", compare);
  if (performance.navigation?.type == 1)
    attempt(() => {
      const session = apply(places.sessionStorage, home, []);
      const kept = apply(getItem, session, ["volens-keep"]);
      apply(removeItem, session, ["volens-keep"]);
      if (kept) void file(__RELOAD__).then((m) => m.arrive(kept));
    });
}
