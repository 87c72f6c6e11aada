/**
 * The guard: what a refusal means inside the page, where no header reaches (DESIGN §3, "Virtual storage").
 *
 * One function, because its own source travels: the page's first script calls it, blob workers get it prepended as
 * text, and about:blank realms are patched from the realm that made them. So it may use nothing outside itself.
 * It is not a security boundary (the Content-Security-Policy is); every patch stands in its own narrow try. What can
 * wait for a promise is in later.ts and storage.ts: this stands in every page (its limit: tools/build_browser.mjs).
 */
import type { Config, Inside } from "./contract";

/* eslint-disable @typescript-eslint/no-explicit-any -- realms are handled by reflection: the names of their parts are data */
type Any = any;
/** `go()` is the original call, with another `this` where one is given. */
type Patch = (me: Any, args: Any[], go: (me?: Any) => Any, name: string) => Any;
/** What is really there, what only the page sees, and the face that holds both. */
type Area = [Any, Map<string, string>, Any];
/** Addresses of our own files below the reserved path, put in by the build. */
declare const __STORAGE__: string;
declare const __LATER__: string;

export function guard(config: Config, own?: HTMLScriptElement): void {
  const { apply, construct, defineProperty: define, getOwnPropertyDescriptor: describe }: Any = Reflect;
  const home: Any = self;
  const { origin, document: doc } = home;
  const mark = Symbol.for("volens");
  const before = own?.before;
  const address = (url: Any): Any => new URL(url, doc?.baseURI || origin);
  /** Our own address, and so the page's host; a blob's or a srcdoc's own says nothing. */
  const at = address(config.p);

  const attempt = (f: () => Any): Any => {
    try {
      return f();
    } catch {}
  };
  const each = (list: Iterable<Any>, f: (x: Any) => Any): void => {
    for (const x of list) attempt(() => f(x));
  };
  const split = (names: string): string[] => names.split(" ");
  /** import() carries the nonce of this script and asks nothing of Trusted Types. */
  const late = (f: (m: Any) => Any, name = __LATER__): Promise<Any> => import(at + name).then(f);
  /** Whole names by the source of a regular expression; without one, none. */
  const form = (source = "$^", whole = RegExp(`^(${source})$`)) => (name: Any): boolean => whole.test(name);
  let cookies = form(config.C);
  let items = form(config.S);
  const hosts = form(config.H);
  const denied = RegExp(config.P || "$^");
  /** Falsy: allowed; 1: unlisted; 2: denied, or a first-party collection path. */
  const kind = (url: Any): Any =>
    attempt(() => {
      const { hostname, pathname, search } = address(url);
      return hostname && (denied.test(hostname + pathname + search) ? 2 : hostname != at.hostname && !hosts(hostname));
    });

  // --- Virtual storage: what is refused is read back for the life of the page and touches nothing.
  const jar = new Map<string, string>();
  const areas: Record<string, Map<string, string>> = {};
  const named = (text: string): string => /^([^=;]*)=/.exec(text)?.[1]!.trim() || "";
  const inside: Inside = {
    config,
    jar,
    areas,
    allow({ C, S }: Config) {
      cookies = form(C);
      items = form(S);
    },
    on: [],
  } as Any;

  // --- Markup made by script.
  const hook = `<script nonce="${own?.nonce}">parent[Symbol.for("volens")]?.(self)</script>`;
  const judged = "frame,iframe,object,embed,link,img,source,script";
  /** Lazy loading: the element carries the address in another of its own attributes. */
  const refused = (el: Any, name: string, value: string): boolean =>
    value.split(/[\s,]+/).some(kind) && ![...el.attributes].some((a) => a.name != name && a.value.includes(value));
  /** What an attribute may become; a value that is no string, as Trusted Types', only if it must change. */
  const judge = (el: Any, name: string, value: Any): Any =>
    attempt(() => {
      const tag = el.localName;
      const framed = /^(i?frame|object|embed)$/.test(tag) && /^(src|data)$/.test(name);
      if (name == "srcdoc") return value.startsWith(hook) ? value : hook + value;
      return (
        tag == "link" ? /pre|dns/i.test(name == "rel" ? value : el.rel) && kind(name == "href" ? value : el.href)
        : tag == "script" ? (name == "type" ? /specul/i.test(value) : name == "src" && kind(value) > 1)
        : framed ? kind(value)
        : /^(src(set)?|ping)$/.test(name) && refused(el, name, value + "")
      ) ? (framed ? at + "embed/frame?u=" + encodeURIComponent(address(value)) : "data:,") : value;
    }) ?? value;

  const blobs = new Map<string, Blob>();
  const guarded: Record<string, string> = {};
  const known = new WeakMap<object, Area>();
  // Patches one realm of this origin, a window or the global scope of a worker, once; a new document in it is watched
  // anew. It is called where it stands, because a browser compiles such a function once, and others twice.
  try {
    (function patch(realm: Any): void {
      if (config.a) return;
      if (realm[mark]) return realm[mark]();
      const adopt = (other: Any): void => attempt(() => patch(other.defaultView || other)); // another origin's window says nothing of itself
      const proto = (name: string): Any => realm[name]?.prototype;
      /** Puts `f` around methods, constructors (part "value") or accessors ("get", "set"); a Proxy keeps name, length and toString. */
      const wrap = (objects: Any, names: string, f: Patch, part: "value" | "get" | "set" = "value"): void => {
        for (const object of objects.map ? objects : split(objects).map(proto))
          each(split(names), (name) => {
            const found = object && describe(object, name);
            const old = found?.[part];
            if (!old) return;
            found[part] = new Proxy(old, {
              apply: (t, me, args) => f(me, args, (x = me) => apply(t, x, args), name),
              construct: (t, args, target) => f(target, args, () => construct(t, args, target), name),
            });
            define(object, name, found);
            if (old.prototype) old.prototype.constructor = found[part];
          });
      };
      const opens: Patch = (_me, _args, go) => {
        const to = go();
        if (to) adopt(to);
        return to;
      };
      /** What answers by promise is answered in later.ts. */
      const answers: Patch = (me, args, go, name) => late((m) => m.answers(inside, me, name, args, go));

      // What a choice refused goes, with the means the page is about to lose.
      if (config.c && doc)
        attempt(() => {
          const { indexedDB: bases, caches } = realm;
          const drop = async (object: Any, method: string, names: Any, old = object[method]): Promise<void> =>
            each(await names, (x) => items((x = x.name ?? x)) || apply(old, object, [x]));
          each([realm.localStorage, realm.sessionStorage], (area) => drop(area, "removeItem", Object.keys(area)));
          drop(bases, "deleteDatabase", bases.databases());
          drop(caches, "delete", caches.keys());
        });

      wrap("Document", "cookie", (_me, _args, go) =>
        [...go().split("; ").filter((text: string) => text && cookies(named(text))), ...Array.from(jar.values(), (text) => text.split(";")[0]!.trim())].join("; "), "get");
      wrap("Document", "cookie", (_me, args, go) => {
        const text = (args[0] += "");
        const name = named(text);
        if (/^volens/.test(name)) return;
        if (cookies(name)) return go();
        jar.delete(name);
        if (!/;\s*max-age=\s*[-0]/i.test(text) && !(Date.parse(/;\s*expires=([^;]*)/i.exec(text)?.[1]!) < Date.now()) && jar.size < 180 && text.length < 4e3)
          jar.set(name, text);
      }, "set");
      wrap("CookieChangeEvent", "changed deleted", (_me, _args, go) => go().filter((c: Any) => cookies(c.name)), "get");
      wrap(`CookieStore CacheStorage StorageManager StorageBucketManager${config.w ? "" : " ServiceWorkerContainer"}${config.g ? "" : " Geolocation"}`,
        "get getAll set delete open has keys match getDirectory register getCurrentPosition watchPosition", answers);
      wrap("IDBFactory", "databases", answers);

      attempt(() => {
        const storage = proto("Storage");
        const { key } = storage;
        const { get: count } = describe(storage, "length");
        const keys = (me: object, [real, map] = known.get(me)!): string[] => [
          ...Array.from({ length: apply(count, real, []) }, (_, i) => apply(key, real, [i])).filter(items),
          ...map.keys(),
        ];
        wrap("Storage", "getItem setItem removeItem key clear", (me, args, go, method) => {
          const area = known.get(me);
          if (!area || args.length < storage[method].length) return go(area?.[0]);
          const [real, map] = area;
          if (method == "clear") return each(keys(me), (x) => me.removeItem(x));
          const name = (args[0] += "");
          if (method == "key") return keys(me)[+name] ?? null;
          if (items(name)) return go(real);
          const old = map.get(name);
          if (method == "getItem") return old ?? null;
          if (method == "setItem") {
            if (([...map] + args[1]).length > 5e6) throw new realm.DOMException("Full", "QuotaExceededError");
            map.set(name, args[1] + "");
          } else map.delete(name);
        });
        wrap("Storage", "length", (me, _args, go) => (known.has(me) ? keys(me).length : go()), "get");
        const { getItem, setItem, removeItem } = storage;
        wrap([realm], "localStorage sessionStorage", (_me, _args, go, which) => {
          const real = go();
          if (!known.has(real)) {
            const item = (name: Any): Any => attempt(() => apply(getItem, face, [name])) ?? undefined;
            const base = Object.create(storage);
            const face: Any = new Proxy(base, {
              get: (t, name) => (name in t ? t[name] : item(name)),
              has: (t, name) => name in t || item(name) + 1,
              defineProperty: (_t, name, d) => !apply(setItem, face, [name, d.value]),
              deleteProperty: (_t, name) => !apply(removeItem, face, [name]),
              ownKeys: () => keys(face),
              getOwnPropertyDescriptor: (_t, name) => {
                const value = item(name);
                return value == null ? value : { value, writable: true, enumerable: true, configurable: true };
              },
            });
            const area: Area = [real, (areas[which] ||= new Map()), face];
            each([real, base, face], (x) => known.set(x, area));
          }
          return known.get(real)![2];
        }, "get");
      });

      wrap("IDBFactory", "open deleteDatabase", (_me, args, go, method) => {
        if (items(args[0])) return go();
        const request: Any = new EventTarget();
        each(split("result error source transaction readyState onsuccess onerror onblocked onupgradeneeded"), (name) => (request[name] = null));
        Object.setPrototypeOf(request, proto("IDBOpenDBRequest"));
        late((m) => m.forward(request, method, args), __STORAGE__).catch(() => {
          request.addEventListener("error", request.onerror);
          request.dispatchEvent(new Event("error"));
        });
        return request;
      });

      // --- Ways out that no header governs.
      const calls: Patch = (_me, args, go) => {
        const [options] = args;
        if (options?.iceServers)
          args[0] = { ...options, iceServers: [...options.iceServers].filter(({ urls }) => ![urls].flat().some((url) => kind(url.replace(/\w+:/, "http://")))) };
        return go();
      };
      wrap([realm], "RTCPeerConnection webkitRTCPeerConnection", calls);
      wrap("RTCPeerConnection", "setConfiguration", calls);
      wrap([realm], "fetch", async (_me, args, go) => (kind(args[0]?.url ?? args[0]) > 1 ? new realm.Response() : go()));
      wrap("XMLHttpRequest", "open", (_me, args, go) => {
        if (kind(args[1]) > 1) args[1] = "data:,";
        return go();
      });
      wrap("Navigator", "sendBeacon", (_me, args, go) => kind(args[0]) > 1 || go());

      // --- Workers from blobs carry the guard in front of their own source.
      const { createObjectURL } = realm.URL;
      wrap([realm.URL], "createObjectURL revokeObjectURL", (_me, [blob], go) => {
        const url = go();
        if (url) blobs.set(url, blob);
        else blobs.delete(blob + "");
        return url;
      });
      wrap([realm], "Worker SharedWorker", (_me, args, go) => {
        const url = args[0] + "";
        const blob = blobs.get(url);
        if (blob) args[0] = guarded[url] ||= createObjectURL(new Blob([`(${guard})(${JSON.stringify(config)});`, blob], blob));
        return go();
      });

      if (!realm.document) return;
      // --- Windows: what script inserts, and the realms it makes by inserting.
      const all = (node: Any): Any[] => [node, ...node.querySelectorAll(judged)];
      // A realm is made when it is first touched: our own placeholders have no script, and are left until a script looks through the frames.
      const meet = (el: Any): void => (el.src + "").startsWith(at + "embed") || el.contentWindow;
      const set = proto("Element").setAttribute;
      const scan = (el: Any): void =>
        each(el.attributes, ({ name, value }) => {
          const now = judge(el, name, value);
          if (now != value) apply(set, el, [name, now]);
        });
      // The load of a blank frame is heard while it is inserted, by the parser too; document.open forgets who listens.
      let frames = 0;
      const count = describe(realm, "length").get;
      const observer = new MutationObserver(() => {
        const now = apply(count, realm, []);
        if (frames != now) each(realm.document.querySelectorAll("iframe,frame,object,embed"), meet);
        frames = now;
      });
      const heard = (event: Event): void => meet(event.target);
      const watch = (): void => {
        const { document } = realm;
        document.addEventListener("load", heard, true);
        observer.observe(document, { childList: true, subtree: true });
      };
      define(realm, mark, { value: (inner?: Any) => (inner ? adopt(inner) : watch()) });
      watch();
      const tags = RegExp(`<(${judged.replace(/,/g, "|")})\\b("[^"]*"|'[^']*'|[^"'>])*>`, "gi");
      const inert = realm.document.createElement("template");
      const parse = describe(proto("Element"), "innerHTML").set;
      const sets: Patch = (me, args, go, property) => {
        const last = args.length - 1;
        const name = last ? (args[last - 1] + "").toLowerCase() : property;
        args[last] = judge(me, name, args[last]);
        go();
        // A placeholder that stands in the page gives way to the address that a script sets.
        if (name == "src" && me.dataset?.volensSrc) me.removeAttribute("srcdoc");
      };
      const inserts: Patch = (me, args, go, method) => {
        const html = /HTML|wr|Fr/.test(method);
        const nodes: Any[] = [];
        each(args.keys(), (i) =>
          html
            ? (args[i] = args[i].replace(
                tags,
                (tag: string) =>
                  attempt(() => {
                    apply(parse, inert, [tag]);
                    const el = inert.content.firstElementChild!;
                    const before = el.outerHTML;
                    scan(el);
                    return before == el.outerHTML ? tag : el.outerHTML.replace(/<\/[^>]*>$/, "");
                  }) || tag,
              ))
            : me.isConnected != false && nodes.push(...all(args[i])), // a tree that is still being built loads nothing yet
        );
        each(nodes, scan);
        if (html) watch();
        const out = go();
        if (html && /frame|object/i.test(args as Any)) each([realm.document, me], (x) => x.querySelectorAll && each(all(x), meet));
        each(nodes, meet);
        return out;
      };
      wrap([realm], "open", opens);
      wrap([realm], "frames length", (_me, _args, go) => (each(realm.document.querySelectorAll("iframe"), (el) => el.contentWindow), go()), "get");
      wrap("HTMLIFrameElement HTMLFrameElement HTMLObjectElement", "contentWindow contentDocument", opens, "get");
      wrap("Node Element Document DocumentFragment CharacterData ShadowRoot Range", "appendChild insertBefore replaceChild append prepend replaceChildren before after replaceWith insertAdjacentElement insertNode insertAdjacentHTML setHTMLUnsafe write writeln createContextualFragment", inserts);
      wrap("Element ShadowRoot", "innerHTML outerHTML", inserts, "set");
      wrap("Element", "setAttribute setAttributeNS", sets);
      wrap("HTMLIFrameElement HTMLFrameElement HTMLObjectElement HTMLEmbedElement HTMLLinkElement HTMLImageElement HTMLSourceElement HTMLScriptElement", "src srcdoc data href rel srcset type", sets, "set");

      // A form to an unlisted host goes only where the visitor sees it go.
      const top = realm == realm.top;
      const goes = (form: Any, button?: Any): boolean => {
        const of = (name: string): string => button?.getAttribute("form" + name) ?? form.getAttribute(name) ?? "";
        const bad = kind(of("action"));
        return !bad || (bad < 2 && realm.navigator.userActivation?.isActive != false && (top ? /^(_self|_top|_blank)?$/i : /^_(top|blank)$/i).test(of("target")));
      };
      wrap("HTMLFormElement", "submit", (me, _args, go) => goes(me) && go());
      realm.addEventListener("submit", (event: Any) => goes(event.target, event.submitter) || event.preventDefault(), true);

      if (top && !realm.opener)
        attempt(() => {
          let name = "";
          realm.name = name;
          define(realm, "name", { get: () => name, set: (x: Any) => (name = x + ""), configurable: true });
        });
    })(home);
  } catch {}


  // --- Asking.
  const text = (): string => config.u || /(^| )volens=([^;]*)/.exec(doc.cookie)?.[2] || "";
  if (!doc) return;
  /** Without the day: a choice that means the same. */
  const bare = (choice: string): string => choice.replace(/\.\d+\./, "..");
  const follow = (): unknown => late((m) => m.follow(inside)).catch(() => location.reload());
  const open = (): Promise<unknown> => late((m) => m.open(inside), inside.host?.dataset.panel);
  const compare = (): void => {
    if (bare(inside.choice) != bare(text())) follow();
  };
  const when = (target: Any, type: string, f: Any): void => target.addEventListener(type, f);
  inside.choice = config.c || ""; // what the server saw: to ask the cookies themselves takes a wait at every page
  attempt(() => ((inside.channel = new BroadcastChannel("volens")).onmessage = follow));
  when(doc, "visibilitychange", compare);
  /** The buttons of the notice, or of a place that says what a gate needs. */
  const heed = (host: Any): void => {
    const root = host.shadowRoot || host;
    let passing: boolean;
    // The form for browsers without shadow roots: scripts count on document.forms[0] and the first button being the page's own.
    root.host?.querySelector("form").remove();
    // The answer's code is on its way before accept or refuse is pressed.
    when(root, "pointerover", ({ target }: Any) => target.value < "s" && late(attempt));
    when(root, "submit", (event: Any) => {
      const { submitter: button, target: form } = event;
      const { value } = button;
      if (passing || button.name != "answer") return;
      event.preventDefault();
      if (value == "refuse") attempt(() => (root.querySelector("#volens-ask").hidden = host.toggleAttribute("data-answered", true)));
      (value == "settings" ? open() : late((m) => m.answer(inside, form, value))).catch(() => {
        passing = true;
        form.requestSubmit(button);
      });
    });
  };
  const found = new MutationObserver(() => {
    // Its fallback form stands behind the template: the shadow root is there by then, also where the page comes in pieces.
    const host = doc.querySelector("body>volens-notice>form")?.parentNode as Any;
    if (!host) return;
    found.disconnect();
    inside.host = host;
    apply(before, doc.body, [host]); // as it was before the patches; not moveBefore(): Chromium 156 crashed at one load in a hundred while it was still parsing
    // The page's end and what has the focus can be scrolled out from under the first layer.
    attempt(() => {
      const room = new CSSStyleSheet();
      room.replaceSync('html:has(>[data-ask]:not([data-answered])){scroll-padding-bottom:38vh;&:after{content:"";display:block;height:38vh}}');
      doc.adoptedStyleSheets.push(room);
    });
    heed(host);
  });
  when(doc, "DOMContentLoaded", () => {
    each(doc.querySelectorAll("volens-gate"), heed);
    if (config.a) return;
    if (!config.w) attempt(() => navigator.serviceWorker.getRegistrations().then((all) => each(all, (x) => x.unregister())));
    // Pages hide until a testing tool has come (Kameleoon, Adobe, VWO, Optimize): it won't.
    each(doc.querySelectorAll("#kameleoonLoadingStyleSheet,#at-body-style,#alloy-prehiding,#_vis_opt_path_hides"), (x) => x.remove());
    doc.documentElement.classList.remove("async-hide");
  });
  found.observe(doc, { childList: true, subtree: true });
  home.volens ??= Object.freeze({ get choice() { return text(); }, grant: config.k || "", on: (f: (choice: string) => void) => void inside.on.push(f), open });
  attempt(() => performance.navigation.type == 1 && home.sessionStorage["volens-keep"] && late((m) => m.arrive()));
}
