/**
 * The guard: what a refusal means inside the page, where no header reaches (DESIGN §3, "Virtual storage").
 *
 * One function, because its own source travels: the page's first script calls it, blob workers get it prepended as
 * text, and about:blank realms are patched from the realm that made them. So it may use nothing outside itself.
 * It is not a security boundary (the Content-Security-Policy is); every patch stands in its own narrow try. What can
 * wait for a promise is in later.ts and storage.ts: this stands in every page, at most 3.6 KiB of brotli.
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
  const { apply, construct, defineProperty: define, getOwnPropertyDescriptor: describe, get: read }: Any = Reflect;
  const home: Any = self;
  const { origin, document: doc, fetch: send } = home;
  const mark = Symbol.for("volens");
  /** Our own address, and so the page's host; a blob's or a srcdoc's own says nothing. */
  const base = (): string => doc?.baseURI || origin;
  const at: Any = new URL(config.p, base());

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
  /** Puts `f` around methods, constructors (part "value") or accessors ("get", "set"); a Proxy keeps name, length and toString. */
  const wrap = (object: Any, names: string, f: Patch, part: "value" | "get" | "set" = "value"): void => {
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
  /** Names, `*` for any characters; our own always. */
  const glob = (list: string[] = []): ((name: Any) => boolean) => {
    const form = RegExp(`^(${["volens*", ...list].map((x) => x.replace(/[^*\w]/g, "\\$&").replace(/\*/g, ".*")).join("|")})$`);
    return (name) => form.test(name);
  };
  let cookies = glob(config.C);
  let items = glob(config.S);
  const hosts = glob(config.H);
  const images = glob(config.I);
  const denied = glob(config.D);
  const paths = config.P && RegExp(config.P);
  const address = (url: Any): Any => new URL(url, base());
  /** 0 allowed, 1 an image where the markup says so, 2 unlisted, 3 denied, or a first-party collection path. */
  const kind = (url: Any): Any =>
    attempt(() => {
      const { hostname, pathname, search } = address(url);
      return !hostname
        ? 0
        : hostname == at.hostname
          ? paths && paths.test(pathname + search) && 3
          : denied(hostname)
            ? 3
            : !hosts(hostname) && 2 - +images(hostname);
    });

  // --- Virtual storage: what is refused is read back for the life of the page and touches nothing.
  const jar = new Map<string, string>();
  const areas: Record<string, Map<string, string>> = {};
  let room = 5e6;
  const pair = (text: string): string => text.split(";", 1)[0]!.trim();
  const named = (text: string): string => /^([^=;]*)=/.exec(text)?.[1]!.trim() || "";
  const put = (text: string, go: () => Any): Any => {
    const name = named(text);
    if (name.startsWith("volens")) return;
    if (cookies(name)) return go();
    const age = /;\s*max-age=\s*(-?\d+)/i.exec(text);
    jar.delete(name);
    if ((age ? +age[1]! > 0 : !(Date.parse(/;\s*expires=([^;]*)/i.exec(text)?.[1]!) < Date.now())) && text.length < 4097 && jar.size < 180)
      jar.set(name, text);
  };
  const inside: Inside = {
    config,
    jar,
    areas,
    put,
    allow({ C, S }: Config) {
      cookies = glob(C);
      items = glob(S);
    },
    on: [],
  } as Any;

  // --- Markup made by script.
  const meet = `parent[Symbol.for("volens")]?.(self)`;
  const hook = `<script nonce="${own?.nonce}">${meet}</script>`;
  const frames = "iframe,frame,object,embed";
  /** Lazy loading: the element carries the address in another of its own attributes. */
  const refused = (el: Any, name: string, value: string): boolean =>
    value.split(/[\s,]+/).some(kind) && ![...el.attributes].some((a) => a.name != name && a.value.includes(value));
  /** What an attribute may become. */
  const judge = (el: Any, name: string, value: string): string =>
    attempt(() => {
      const tag = el.localName;
      const bad = kind(value);
      if (name == "srcdoc") return value.startsWith(hook) ? value : hook + value;
      const hints = /pre|dns/i;
      if (tag == "link")
        return (name == "href" ? bad && hints.test(el.rel) : name == "rel" && hints.test(value) && kind(el.href)) ? "" : value;
      if (tag == "script") return (name == "type" && /speculation/i.test(value)) || (name == "src" && bad > 2) ? "data:," : value;
      if (/^(src|data)$/.test(name) && /^(i?frame|object|embed)$/.test(tag))
        return bad ? at + "embed/frame?u=" + encodeURIComponent(address(value)) : value.replace(/^\s*javascript:/i, `$&${meet};`);
      return /^(src(set)?|ping)$/.test(name) && refused(el, name, value) ? "data:," : value;
    });

  const blobs = new Map<string, Blob>();
  const guarded: Record<string, string> = {};
  const known = new WeakMap<object, Area>();
  /** Another window of this origin whose realm no guard has seen yet. */
  const adopt = (realm: Any): void => attempt(() => realm.document && !realm[mark] && patch(realm));

  /** Patches one realm: a window, or the global scope of a worker. */
  const patch = (realm: Any): void => {
    const proto = (name: string): Any => realm[name]?.prototype;
    const page: Document | undefined = realm.document;
    const refusal = (name = "SecurityError"): Any => new realm.DOMException("Refused", name);
    const refuse: Patch = async () => {
      throw refusal();
    };
    define(realm, mark, { value: adopt });

    wrap(proto("Document"), "cookie", (_me, _args, go) =>
      [...go().split("; ").filter((text: string) => text && cookies(named(text))), ...[...jar.values()].map(pair)].join("; "), "get");
    wrap(proto("Document"), "cookie", (_me, args, go) => put((args[0] += ""), go), "set");
    wrap(proto("CookieChangeEvent"), "changed deleted", (_me, _args, go) => go().filter((c: Any) => cookies(c.name)), "get");
    for (const type of ["CookieStore", "CacheStorage"])
      wrap(proto(type), "get getAll set delete open has keys match", (me, args, go, name) => late((m) => m[type](inside, name, args, go, me)));

    attempt(() => {
      const storage = proto("Storage");
      const { key } = storage;
      const { get: count } = describe(storage, "length");
      const keys = ([real, map]: Area): string[] => [
        ...Array.from({ length: apply(count, real, []) }, (_, i) => apply(key, real, [i])).filter(items),
        ...map.keys(),
      ];
      wrap(storage, "getItem setItem removeItem key clear", (me, args, go, method) => {
        const area = known.get(me);
        if (!area) return go();
        const [real, map] = area;
        if (method == "clear") return each(keys(area), (x) => me.removeItem(x));
        const name = (args[0] += "");
        if (method == "key") return keys(area)[+name] ?? null;
        if (items(name)) return go(real);
        const old = map.get(name);
        if (method == "getItem") return old ?? null;
        const left = room + +(old != null && (name + old).length) - +(method == "setItem" && (name + args[1]).length);
        if (left < 0) throw refusal("QuotaExceededError");
        room = left;
        if (method == "setItem") map.set(name, args[1] + "");
        else map.delete(name);
      });
      wrap(storage, "length", (me, _args, go) => (known.has(me) ? keys(known.get(me)!).length : go()), "get");
      const { getItem, setItem, removeItem } = storage;
      wrap(realm, "localStorage sessionStorage", (_me, _args, go, which) => {
        const real = go();
        if (!known.has(real)) {
          const item = (name: Any): Any => attempt(() => apply(getItem, face, [name])) ?? undefined;
          const face: Any = new Proxy(Object.create(storage), {
            get: (t, name, me) => (name in t ? read(t, name, me) : item(name)),
            has: (t, name) => name in t || item(name) != null,
            defineProperty: (_t, name, d) => !apply(setItem, face, [name, d.value]),
            deleteProperty: (_t, name) => !apply(removeItem, face, [name]),
            ownKeys: () => keys(area),
            getOwnPropertyDescriptor: (_t, name) => {
              const value = item(name);
              return value == null ? value : { value, writable: true, enumerable: true, configurable: true };
            },
          });
          const area: Area = [real, (areas[which] ||= new Map()), face];
          known.set(face, area).set(real, area);
        }
        return known.get(real)![2];
      }, "get");
    });

    wrap(proto("IDBFactory"), "open deleteDatabase", (_me, args, go, method) => {
      if (items(args[0])) return go();
      const request: Any = Object.setPrototypeOf(new EventTarget(), proto("IDBOpenDBRequest"));
      each(split("result error source transaction readyState success error blocked upgradeneeded"), (name) => {
        define(request, name, { value: null, writable: true });
        define(request, "on" + name, { value: null, writable: true });
        request.addEventListener(name, (event: Any) => request["on" + name]?.(event));
      });
      late((m) => m.forward(request, method, args), __STORAGE__).catch(() => request.dispatchEvent(new Event("error")));
      return request;
    });
    wrap(proto("IDBFactory"), "databases", (_me, _args, go) => go().then((all: Any[]) => all.filter((d) => items(d.name))));
    wrap(proto("StorageManager"), "getDirectory", refuse);
    wrap(proto("StorageBucketManager"), "open", refuse);
    if (!config.w) wrap(proto("ServiceWorkerContainer"), "register", refuse);
    if (!config.g)
      wrap(proto("Geolocation"), "getCurrentPosition watchPosition", (_me, args) => {
        void late((m) => m.nowhere(args[1]));
        return 1;
      });

    // --- Ways out that no header governs.
    const calls: Patch = (_me, args, go) => {
      if (args[0]?.iceServers)
        args[0] = {
          ...args[0],
          iceServers: [...args[0].iceServers].filter((x) => ![].concat(x.urls).some((url: string) => kind(url.replace(/\w+:/, "http://")))),
        };
      return go();
    };
    wrap(realm, "RTCPeerConnection webkitRTCPeerConnection", calls);
    wrap(proto("RTCPeerConnection"), "setConfiguration", calls);
    wrap(realm, "fetch", (_me, args, go) => (kind(args[0]?.url ?? args[0]) > 2 ? Promise.resolve(new realm.Response()) : go()));
    wrap(proto("XMLHttpRequest"), "open", (_me, args, go) => {
      if (kind(args[1]) > 2) args[1] = "data:,";
      return go();
    });
    wrap(proto("Navigator"), "sendBeacon", (_me, args, go) => kind(args[0]) > 2 || go());

    // --- Workers from blobs carry the guard in front of their own source.
    const { createObjectURL } = realm.URL;
    wrap(realm.URL, "createObjectURL revokeObjectURL", (_me, [blob], go) => {
      const url = go();
      if (url) blobs.set(url, blob);
      else blobs.delete(blob + "");
      return url;
    });
    wrap(realm, "Worker SharedWorker", (_me, args, go) => {
      const url = args[0] + "";
      const blob = blobs.get(url);
      if (blob) args[0] = guarded[url] ||= createObjectURL(new Blob([`(${guard})(${JSON.stringify(config)});`, blob], blob));
      return go();
    });

    if (!page) return;
    // --- Windows: what script inserts, and the realms it makes by inserting.
    const touch = (node: Any): void => {
      each([node, ...node.querySelectorAll(frames)], (el) => el.contentDocument);
    };
    const set = proto("Element").setAttribute;
    const scan = (node: Any): void => {
      each([node, ...node.querySelectorAll(frames + ",link,img,source,input,script,a")], (el) =>
        each(el.attributes, ({ name, value }) => {
          const now = judge(el, name, value);
          if (now != value) apply(set, el, [name, now]);
        }),
      );
    };
    const inert = page.createElement("template");
    const parse = describe(proto("Element"), "innerHTML").set;
    const clean = (html: Any): Any =>
      html.replace(/<(iframe|object|embed|link|img|source|input|script|a)\b("[^"]*"|'[^']*'|[^"'>])*>/gi, (tag: string) => {
        apply(parse, inert, [tag]);
        const el = inert.content.firstElementChild!;
        const before = el.outerHTML;
        scan(el);
        return before == el.outerHTML ? tag : el.outerHTML.replace(/<\/[^>]*>$/, "");
      });
    const opens: Patch = (_me, _args, go) => {
      const to = go();
      adopt(to?.defaultView || to);
      return to;
    };
    const sets: Patch = (me, args, go, property) => {
      const last = args.length - 1;
      const value = judge(me, last ? (args[last - 1] + "").toLowerCase() : property, args[last] + "");
      // Trusted types stay what they are where nothing changes.
      if (value != args[last]) args[last] = value;
      return go();
    };
    const inserts: Patch = (_me, args, go) => {
      each(args, scan);
      const out = go();
      each(args, touch);
      return out;
    };
    const sinks: Patch = (me, args, go) => {
      args.forEach((html, i) => (args[i] = attempt(() => clean(html)) ?? html));
      const out = go();
      if (/frame|object/i.test(args as Any)) each([page, me], touch);
      return out;
    };
    wrap(realm, "open", opens);
    for (const name of split(
      "Node Element Document DocumentFragment CharacterData ShadowRoot Range HTMLIFrameElement HTMLFrameElement HTMLObjectElement HTMLEmbedElement HTMLLinkElement HTMLImageElement HTMLSourceElement HTMLInputElement HTMLScriptElement HTMLAnchorElement",
    )) {
      const type = proto(name);
      wrap(type, "appendChild insertBefore replaceChild append prepend replaceChildren before after replaceWith insertAdjacentElement moveBefore insertNode surroundContents", inserts);
      wrap(type, "insertAdjacentHTML setHTMLUnsafe write writeln createContextualFragment", sinks);
      wrap(type, "innerHTML outerHTML", sinks, "set");
      wrap(type, "contentWindow contentDocument", opens, "get");
      wrap(type, "getSVGDocument", opens);
      wrap(type, "setAttribute setAttributeNS", sets);
      wrap(type, "src srcdoc data href rel srcset type ping", sets, "set");
    }

    // A form to an unlisted host goes only where the visitor sees it go.
    const goes = (form: Any, button?: Any): boolean => {
      const of = (name: string): string => button?.getAttribute("form" + name) ?? form.getAttribute(name) ?? "";
      const bad = kind(of("action"));
      return !bad || (bad < 3 && realm.navigator.userActivation?.isActive != false && (realm == realm.top ? /^(_self|_top|_blank)?$/i : /^_(top|blank)$/i).test(of("target")));
    };
    wrap(proto("HTMLFormElement"), "submit", (me, _args, go) => goes(me) && go());
    realm.addEventListener("submit", (event: Any) => goes(event.target, event.submitter) || event.preventDefault(), true);

    if (realm == realm.top && !realm.opener)
      attempt(() => {
        let name = "";
        realm.name = name;
        define(realm, "name", { get: () => name, set: (x: Any) => (name = x + ""), configurable: true });
      });
    new MutationObserver((records) => each(records, (record) => each(record.addedNodes, touch))).observe(page, { childList: true, subtree: true });
  };

  if (!config.a && !home[mark]) attempt(() => patch(home));
  if (!doc) return;
  if (!config.a && !config.w) attempt(() => navigator.serviceWorker.getRegistrations().then((all) => each(all, (x) => x.unregister())));

  // --- Asking.
  const text = (): string => /(^|; )volens=([^;]*)/.exec(doc.cookie)?.[2] || "";
  const compare = (): void => {
    if (text() != inside.choice) late((m) => m.follow(inside)).catch(() => location.reload());
  };
  const open = (): Promise<unknown> => late((m) => m.open(inside));
  const watch = (target: Any, type: string, f: Any): void => target.addEventListener(type, f);
  inside.text = text;
  inside.choice = text();
  inside.send = send;
  attempt(() => ((inside.channel = new BroadcastChannel("volens")).onmessage = compare));
  watch(home, "pageshow", compare);
  watch(doc, "visibilitychange", compare);
  const found = new MutationObserver(() => {
    const host = doc.querySelector("body>volens-notice");
    if (!host) return;
    found.disconnect();
    inside.host = host;
    doc.documentElement.insertBefore(host, doc.body);
    // The answer's code is on its way before the press is over.
    watch(host, "pointerover", () => late(() => 0));
    const root = host.shadowRoot || host;
    let passing: boolean;
    watch(root, "submit", (event: Any) => {
      const { submitter: button, target: form } = event;
      const { name, value } = button || {};
      if (passing || name != "answer") return;
      event.preventDefault();
      const answered = (on: boolean): void => attempt(() => (root.querySelector("#volens-ask").hidden = host.toggleAttribute("data-answered", on)));
      if (value == "refuse") answered(true);
      (value == "settings" ? open() : late((m) => m.answer(inside, form, value))).catch(() => {
        answered(false);
        passing = true;
        form.requestSubmit(button);
      });
    });
  });
  found.observe(doc, { childList: true, subtree: true });
  if (!("volens" in home))
    define(home, "volens", {
      value: Object.freeze({ get choice() { return text(); }, grant: config.k, on: (f: (choice: string) => void) => void inside.on.push(f), open }),
      writable: true,
      configurable: true,
    });
  attempt(() => performance.navigation.type == 1 && home.sessionStorage["volens-keep"] && late((m) => m.arrive()));
}
