/**
 * The go-between of another consent tool, on a site that lets it ask (`notice = "theirs"`): tells the server what the tool
 * keeps whenever that changes, and nothing else. What it means the server reads; what the server answers the guard obeys.
 */

/* eslint-disable @typescript-eslint/no-explicit-any -- the tools are another's */
export {};
type Any = any;

interface Told {
  /** Reserved path, short digest of the notice. */
  p: string;
  n: string;
  /** `cookie NAME` or `local NAME`; `*` at its end for any rest. */
  f: string[];
  /** Events to listen to. */
  e: string[];
  /** How the tool is asked, where it must be. */
  a?: string;
  /** The tool. */
  t: string;
}

const own = document.currentScript as HTMLScriptElement;
const told = JSON.parse(own.dataset.volensTheirs!) as Told;
const KEY = "volens-theirs";
const home: Any = self;
const cookie = (): string[] => document.cookie.split("; ").filter(Boolean);
/** What was last told, so that a choice is told once and an expired one not again. */
const remembered = (): string => {
  try {
    return localStorage.getItem(KEY) || "";
  } catch {
    return "";
  }
};
let asked = "";
let version = "";
let sending = false;
/** What this page told, and when it may tell that again: what is not taken, later and ever later; what was, never. */
let last = "";
let again = 0;
let pause = 500;

/** Answers of the tools that keep nothing that can be read: words to true and false, sorted, so that equal choices are equal text. */
const flat = (values: Record<string, unknown>): string => {
  const yes = Object.entries(values).map(([name, value]): [string, boolean] => [name, value === true || value === 1 || value === "1"]);
  return yes.length ? JSON.stringify(Object.fromEntries(yes.sort())) : "";
};
const prefixed = (word: string, values: Record<string, unknown> = {}): Record<string, unknown> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [`${word}.${name}`, value]));
const ASKS: Record<string, (done: (answers: string) => void) => void> = {
  tcf: (done) => {
    home.__tcfapi?.("addEventListener", 2, (data: Any, ok: boolean) => {
      if (!ok || !/^(tcloaded|useractioncomplete)$/.test(data.eventStatus)) return;
      done(flat({ ...prefixed("purpose", data.purpose?.consents), ...prefixed("vendor", data.vendor?.consents) }));
    });
  },
  cmp: (done) => {
    const tell = (): void => {
      const data = home.__cmp?.("getCMPData");
      if (data?.consentExists ?? data?.userChoiceExists) done(flat({ ...data.purposeConsents, ...data.vendorConsents }));
    };
    home.__cmp?.("addEventListener", ["consent", tell, false], null);
    tell();
  },
};

function held(): Record<string, string> {
  const found: Record<string, string> = {};
  for (const source of told.f) {
    const [kind, name] = source.split(" ") as [string, string];
    const fits = (x: string): boolean => (name.endsWith("*") ? x.startsWith(name.slice(0, -1)) : x === name);
    if (kind == "cookie") {
      for (const text of cookie()) {
        const [, key, value] = /^([^=]*)=?(.*)$/.exec(text)!;
        if (fits(key!)) found[`cookie ${key}`] = value!;
      }
    } else {
      try {
        const value = localStorage.getItem(name);
        if (value !== null) found[source] = value;
      } catch {}
    }
  }
  if (asked) found.asked = asked;
  return found;
}

async function look(): Promise<void> {
  const now = held();
  const text = Object.keys(now).length ? JSON.stringify(now) : "";
  if (sending || text === remembered() || (text === last && Date.now() < again)) return;
  sending = true;
  last = text;
  pause = Math.min(2 * pause, 300_000);
  again = Date.now() + pause;
  try {
    const reply = await fetch(`${location.origin}${told.p}choice`, {
      method: "POST",
      keepalive: true,
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ answer: "foreign", notice: told.n, tool: told.t, version, held: text }),
    });
    if (!reply.ok && reply.status != 422) return; // not taken
    again = Infinity;
    pause = 500;
    try {
      localStorage.setItem(KEY, text);
    } catch {} // full, or forbidden: the next page tells it again
    if (!reply.ok) return; // nothing there that can be read for certain
    const { reload } = await reply.json();
    // The guard compares, keeps scroll position and typed text, and makes the page again; this is for where it sees no reason to.
    new BroadcastChannel("volens").postMessage(0);
    if (reload) setTimeout(() => location.reload(), 1000);
  } catch {
    // Unreachable.
  } finally {
    sending = false;
  }
}

function begin(): void {
  version = String(home[told.t]?.version ?? "").slice(0, 60);
  if (typeof home[told.t]?.version == "function") version = String(home[told.t].version()).slice(0, 60);
  const ask = told.a && ASKS[told.a];
  const start = Date.now();
  const wait = setInterval(() => {
    const there = told.a == "cmp" ? home.__cmp : home.__tcfapi;
    if (!ask || there || Date.now() - start > 20_000) clearInterval(wait);
    if (ask && there)
      ask((answers) => {
        asked = answers;
        void look();
      });
  }, 200);
  for (const name of told.e) {
    addEventListener(name, () => void setTimeout(look));
    document.addEventListener(name, () => void setTimeout(look));
  }
  setInterval(() => document.visibilityState == "visible" && void look(), 500); // some tell nobody
  document.addEventListener("visibilitychange", () => void look());
  if (!ask) void look();
}
if (document.readyState == "complete") begin();
else addEventListener("load", begin);
