/**
 * The page that checks a receipt, a bundle or a checkpoint in the browser, served at `verify` and printed by `volens verify --page`.
 * It asks nobody for anything: its policy forbids every connection, and the file never leaves it.
 */
import { able, check, readKeys, type Finding, type Key, type Verdict } from "./verify/proof";
import { LANGUAGES, type Language, type Name } from "./verify/texts";

const MAX_FILE = 4 << 20;
const make = <K extends keyof HTMLElementTagNameMap>(name: K, set: Record<string, string> = {}, ...inside: (Node | string)[]): HTMLElementTagNameMap[K] => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(set)) made.setAttribute(key, value);
  made.append(...inside);
  return made;
};

const main = document.querySelector("main")!;
const wished = [new URLSearchParams(location.search).get("language") ?? "", ...navigator.languages].map((wish) => wish.toLowerCase().split("-")[0]);
let language = wished.map((wish) => LANGUAGES.find(({ code }) => code === wish)).find(Boolean) ?? LANGUAGES[1]!;
let file: { name: string; data: Uint8Array } | undefined;
let turn = 0;

const said: [Element, Name][] = [];
const says = <E extends Element>(element: E, name: Name): E => (said.push([element, name]), element);

const select = make("select", { id: "language" });
for (const { code, name } of LANGUAGES) select.append(make("option", { value: code, lang: code }, name));
const area = (id: string): HTMLTextAreaElement =>
  make("textarea", { id, rows: "3", spellcheck: "false", autocomplete: "off", autocapitalize: "off", "aria-describedby": `${id}-help` });
const input = make("input", { id: "file", type: "file", "aria-describedby": "file-help" }), keys = area("keys"), witnesses = area("witnesses");
const result = make("div", { role: "status", "aria-live": "polite" });
const field = (control: HTMLElement, name: Name, help: Name, kind = "field"): HTMLElement =>
  make("div", { class: kind }, says(make("label", { for: control.id }), name), says(make("p", { class: "help", id: `${control.id}-help` }), help), control);

main.append(
  make("header", {}, says(make("h1"), "title"), make("div", {}, says(make("label", { for: "language" }), "language"), select)),
  says(make("p"), "lead"),
  field(input, "file", "drop", "field file"),
  result, // where one looks after choosing a file; the keys, which few have, come below
  field(keys, "keys", "keysHelp"),
  field(witnesses, "witnesses", "witnessesHelp"),
);

/** What a code means, once, and each place where it was found. */
function finding(code: string, all: Finding[]): HTMLElement {
  const places = new Set(all.filter((one) => one.code === code).map(({ place, said }) => [place, said].filter(Boolean).join(": ")));
  return make("li", { "data-code": code }, language.means[code] ?? code, ...[...places].map((text) => make("span", { class: "said", dir: "auto" }, `${text} [${code}]`)));
}

function facts(verdict: Verdict): HTMLElement {
  const { record, entry, index, origin, size, signedBy = [], seen = [] } = verdict.facts, list = make("dl"), T = language.says;
  const row = (name: Name, value: string): void => list.append(make("dt", {}, T[name]), make("dd", {}, make("bdi", {}, value)));
  if (record) {
    const answers = (wanted: boolean): string =>
      [record.purposes, record.services].flatMap((part) => Object.entries(part as Record<string, boolean>)).filter(([, answer]) => answer === wanted).map(([name]) => name).join(", ");
    row("site", String(record.site));
    row("time", String(record.time));
    row("event", T[record.event as Name] ?? String(record.event));
    row("allowed", answers(true) || T.none);
    row("refused", answers(false) || T.none);
  } else if (origin) row("site", origin);
  if (entry) row("logged", String(entry.time));
  if (size !== undefined) row("entry", index === undefined ? `${size}` : `${index} / ${size}`);
  for (const key of signedBy) row("signed", key);
  for (const [name, time] of seen) row("seen", `${name}, ${time < 253402300800n ? new Date(Number(time) * 1000).toISOString() : time}`);
  return list;
}

function show(verdict: Verdict): void {
  const { faults, gaps, caveats } = verdict, state = faults.length ? "wrong" : gaps.length ? "unchecked" : "holds", T = language.says;
  const box = make("section", { class: `result ${state}`, "data-state": state, "aria-labelledby": "verdict" }, make("h2", { id: "verdict" }, T[state]));
  if (file) box.append(make("p", { class: "said", dir: "auto" }, file.name));
  if (state === "holds" && verdict.kind !== "checkpoint") box.append(make("p", {}, T.holdsMeans));
  const list = (part: Finding[], name: string): void => {
    if (part.length) box.append(make("ul", { "data-part": name }, ...[...new Set(part.map(({ code }) => code))].map((code) => finding(code, part))));
  };
  list(faults, "faults");
  list(gaps, "gaps");
  if (caveats.length) box.append(make("h3", {}, T.notes));
  list(caveats, "caveats");
  box.append(facts(verdict));
  result.replaceChildren(box);
}

function tell(name: Name): void {
  result.replaceChildren(make("section", { class: "result unchecked", "data-state": name }, make("p", {}, language.says[name])));
}

async function run(): Promise<void> {
  const mine = ++turn;
  if (!(await able())) return tell("unable");
  let log: Key[], seen: Key[];
  try {
    [log, seen] = await Promise.all([readKeys(keys.value), readKeys(witnesses.value)]);
    if (seen.some((key) => key.kind !== 4) || (log.length && !log.some((key) => key.kind === 1))) throw new Error("keys of the wrong kind");
  } catch {
    return mine === turn ? tell("badKeys") : undefined;
  }
  if (!file) return result.replaceChildren();
  const verdict = await check(file.data, log, seen);
  if (mine === turn) show(verdict);
}

async function take(chosen: File | undefined): Promise<void> {
  if (!chosen) return;
  const mine = ++turn;
  const data = new Uint8Array(await chosen.slice(0, MAX_FILE + 1).arrayBuffer());
  if (mine === turn) (file = { name: chosen.name, data }), await run();
}

function speak(): void {
  document.documentElement.lang = language.code;
  document.documentElement.dir = language.code === "ar" ? "rtl" : "ltr";
  document.title = `${language.says.title} · Volens`;
  select.value = language.code;
  for (const [element, name] of said) element.textContent = language.says[name];
  void run();
}

select.addEventListener("change", () => ((language = LANGUAGES.find(({ code }) => code === select.value) as Language), speak()));
input.addEventListener("change", () => void take(input.files?.[0]));
for (const control of [keys, witnesses]) control.addEventListener("input", () => void run());
addEventListener("dragover", (event) => (event.preventDefault(), document.body.classList.add("over")));
addEventListener("dragleave", () => document.body.classList.remove("over"));
addEventListener("drop", (event) => (event.preventDefault(), document.body.classList.remove("over"), void take(event.dataTransfer?.files[0])));
speak();
