/**
 * The second verifier: receipts, bundles and checkpoints by docs/reference/ledger.md, on WebCrypto. It shares nothing with
 * src/volens/ledger/verify.py but the specification, the codes of what may be found, and the vectors that both must judge alike.
 */

export type Code = string;
export interface Finding { code: Code; place: string; said: string }
export interface Verdict { kind: string; faults: Finding[]; gaps: Finding[]; caveats: Finding[]; facts: Facts }
export interface Facts {
  record?: Obj;
  entry?: Obj;
  index?: number;
  origin?: string;
  size?: bigint;
  signedBy?: string[];
  seen?: [string, bigint][];
}
export interface Key { name: string; id: string; kind: number; public: Uint8Array<ArrayBuffer>; given: boolean; text: string }
export interface Obj { [name: string]: Json }
export type Json = string | number | boolean | null | Json[] | Obj;

interface Checkpoint { origin: string; size: bigint; root: Uint8Array; text: Uint8Array<ArrayBuffer>; signatures: [string, string, Uint8Array<ArrayBuffer>][] }

const MAX_DOCUMENT = 4 << 20, MAX_NOTE = 1 << 20, MAX_SIGNATURES = 100, MAX_PATH = 64, MAX_DEPTH = 64, MAX_VALUES = 1 << 18, MAX_ENTRY = 65535, LATE = 600;
const HEX32 = /^[0-9a-f]{64}$/, SALT = /^[0-9a-f]{32}$/, ID = /^[0-9a-v]{26}$/;
const MINUTE = /^(?!0000)\d{4}-(0[1-9]|1[0-2])-[0-3]\d([T])([01]\d|2[0-3]):[0-5]\dZ$/;
const TIME = /^(?!0000)\d{4}-(0[1-9]|1[0-2])-[0-3]\d([T])([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ$/;
const NAME = /^[^\s+\x00-\x20\x7f\x85]{1,300}$/u;
const EVENTS = ["given", "changed", "withdrawn"];
const FIELDS: Record<string, string[]> = {
  record: ["v", "site", "time", "type", "commit", "notice"],
  notice: ["v", "site", "time", "type", "notice"],
  snapshot: ["v", "site", "time", "type", "notice", "snapshot"],
  erasure: ["v", "site", "time", "type", "erased", "reason"],
};

/** Bytes that are not what they should be. */
class Malformed extends Error {}
const wrong = (said: string): never => { throw new Malformed(said); };
const encoder = new TextEncoder();
const bytes = (text: string): Uint8Array<ArrayBuffer> => encoder.encode(text);

// ---------------------------------------------------------------- JSON that can have one meaning only

const isObject = (value: unknown): value is Obj => typeof value === "object" && value !== null && !Array.isArray(value);
const LONE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** No field twice, ASCII names, integers of 53 bits, no half surrogate pairs, 64 levels. */
export function readJson(text: string): Json {
  if (text.length > MAX_VALUES && text.replace(/[^,[{]+/g, "").length > MAX_VALUES) wrong("too many values");
  let at = 0;
  const space = (): void => { while (at < text.length && " \t\n\r".includes(text[at]!)) at++; };
  const string = (): string => {
    const end = /"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
    end.lastIndex = at;
    const found = end.exec(text) ?? wrong("no text");
    at = end.lastIndex;
    const value = JSON.parse(found[0]) as string;
    return LONE.test(value) ? wrong("half a surrogate pair") : value;
  };
  const value = (depth: number): Json => {
    if (depth > MAX_DEPTH) wrong("nested too deep");
    space();
    const first = text[at];
    if (first === '"') return string();
    if (first === "{") {
      const found = Object.create(null) as Obj;
      at++;
      space();
      if (text[at] === "}") return at++, found;
      for (;;) {
        space();
        const name = string();
        if (name in found || /[^\x00-\x7f]/.test(name)) wrong("a field twice, or a name that is not ASCII");
        space();
        if (text[at++] !== ":") wrong("no colon");
        found[name] = value(depth + 1);
        space();
        const next = text[at++];
        if (next === "}") return found;
        if (next !== ",") wrong("no comma");
      }
    }
    if (first === "[") {
      const found: Json[] = [];
      at++;
      space();
      if (text[at] === "]") return at++, found;
      for (;;) {
        found.push(value(depth + 1));
        space();
        const next = text[at++];
        if (next === "]") return found;
        if (next !== ",") wrong("no comma");
      }
    }
    const word = /true|false|null|-?(?:0|[1-9][0-9]*)(?![0-9.eE])/y;
    word.lastIndex = at;
    const found = (word.exec(text) ?? wrong("no value"))[0];
    at = word.lastIndex;
    if (found === "null") return null;
    if (found === "true" || found === "false") return found === "true";
    return found.length > 17 || !Number.isSafeInteger(Number(found)) ? wrong("a number beyond 2^53") : Number(found);
  };
  const found = value(1);
  space();
  return at === text.length ? found : wrong("something after the end");
}

/** RFC 8785. */
export function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (isObject(value)) return `{${Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name]!)}`).join(",")}}`;
  return typeof value === "number" ? String(value) : JSON.stringify(value);
}

// ---------------------------------------------------------------- hashes and signatures

const hex = (data: Uint8Array): string => Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
const unhex = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const same = (a: Uint8Array, b: Uint8Array): boolean => hex(a) === hex(b);
const sha256 = async (...parts: Uint8Array[]): Promise<Uint8Array<ArrayBuffer>> => {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) whole.set(part, at), (at += part.length);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
};
const node = (left: Uint8Array, right: Uint8Array): Promise<Uint8Array<ArrayBuffer>> => sha256(new Uint8Array([1]), left, right);

function base64(text: string, length?: number): Uint8Array<ArrayBuffer> {
  let data = "";
  try {
    data = atob(text);
  } catch {
    wrong("no base64");
  }
  if (btoa(data) !== text || (length !== undefined && data.length !== length)) wrong("base64 of another form");
  return Uint8Array.from(data, (letter) => letter.charCodeAt(0));
}

async function verifies(key: Key, signature: Uint8Array<ArrayBuffer>, message: Uint8Array<ArrayBuffer>): Promise<boolean> {
  try {
    const imported = await crypto.subtle.importKey("raw", key.public, "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", imported, signature, message);
  } catch (error) {
    if (error instanceof DOMException && error.name === "NotSupportedError") throw error;
    return false; // no point of the curve
  }
}

/** Whether this browser can check signatures. */
export async function able(): Promise<boolean> {
  try {
    await crypto.subtle.importKey("raw", new Uint8Array(32), "Ed25519", false, ["verify"]);
    return true;
  } catch (error) {
    return typeof crypto.subtle === "object" && !(error instanceof DOMException && error.name === "NotSupportedError");
  }
}

/** RFC 9162 2.1.3.2. */
export async function included(leaf: Uint8Array, index: bigint, size: bigint, proof: Uint8Array[], root: Uint8Array): Promise<boolean> {
  if (index < 0n || index >= size || proof.length > MAX_PATH) return false;
  let at = index, last = size - 1n, found = leaf;
  for (const other of proof) {
    if (last === 0n) return false;
    if (at & 1n || at === last) {
      found = await node(other, found);
      while (at && !(at & 1n)) (at >>= 1n), (last >>= 1n);
    } else found = await node(found, other);
    (at >>= 1n), (last >>= 1n);
  }
  return last === 0n && same(found, root);
}

// ---------------------------------------------------------------- keys and checkpoints

/** name+id+base64, as log/keys gives it. */
export async function readKey(line: string, given: boolean): Promise<Key> {
  const [name = "", id = "", ...rest] = line.split("+");
  if (!rest.length || !NAME.test(name)) wrong("no key");
  const data = base64(rest.join("+"), 33);
  if (data[0] !== 1 && data[0] !== 4) wrong("a key of another type");
  if (hex((await sha256(bytes(`${name}\n`), data)).slice(0, 4)) !== id) wrong("the id is not that of the key");
  return { name, id, kind: data[0]!, public: data.slice(1), given, text: line };
}

/** One a line; lines that are empty or begin with # say nothing. */
export async function readKeys(text: string): Promise<Key[]> {
  return Promise.all(text.split(/\r?\n/).map((line) => line.trim()).filter((line) => line && !line.startsWith("#")).map((line) => readKey(line, true)));
}

function readCheckpoint(note: string): Checkpoint {
  if (bytes(note).length > MAX_NOTE || /[\x00-\x09\x0b-\x1f]/.test(note)) wrong("too long, or with a control character");
  const between = note.lastIndexOf("\n\n");
  if (between < 1 || !note.endsWith("\n") || note.length < between + 3) wrong("no signed note");
  const text = note.slice(0, between + 1), lines = note.slice(between + 2, -1).split("\n");
  if (lines.length > MAX_SIGNATURES) wrong("too many signatures");
  const signatures = lines.map((line): [string, string, Uint8Array<ArrayBuffer>] => {
    const [dash, name = "", data = "", ...rest] = line.split(" ");
    if (dash !== "—" || !NAME.test(name) || rest.length) wrong("no signature line");
    const signature = base64(data);
    return signature.length < 5 ? wrong("too short for a signature") : [name, hex(signature.slice(0, 4)), signature.slice(4)];
  });
  const [origin = "", size = "", root = "", ...more] = text.slice(0, -1).split("\n");
  if (!origin || !/^(0|[1-9]\d{0,18})$/.test(size) || BigInt(size) >= 1n << 63n || more.includes("")) wrong("no checkpoint");
  const hash = base64(root, 32);
  if (size === "0" && hex(hash) !== "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855") wrong("an empty log with another root");
  return { origin, size: BigInt(size), root: hash, text: bytes(text), signatures };
}

const site = (checkpoint: Checkpoint): string => (checkpoint.origin.endsWith("/volens") ? checkpoint.origin.slice(0, -7) : "");

class Found {
  faults: Finding[] = [];
  gaps: Finding[] = [];
  caveats: Finding[] = [];
  facts: Facts = {};
  fault(code: Code, place: string, said = ""): void { this.faults.push({ code, place, said }); }
  gap(code: Code, place: string, said = ""): void { this.gaps.push({ code, place, said }); }
  caveat(code: Code, place: string, said = ""): void { this.caveats.push({ code, place, said }); }
  verdict(kind: string): Verdict { return { kind, faults: this.faults, gaps: this.gaps, caveats: this.caveats, facts: this.facts }; }
}

async function signed(checkpoint: Checkpoint, log: Key[], witnesses: Key[], found: Found): Promise<void> {
  const { origin, text, signatures } = checkpoint, by: Key[] = [], seen: [Key, bigint][] = [];
  const lines = (key: Key) => signatures.filter(([name, id]) => name === key.name && id === key.id).map(([, , signature]) => signature);
  if (!log.length) found.gap("no-key", "checkpoint");
  let broken = false;
  for (const key of log.filter((one) => one.name === origin)) {
    for (const signature of lines(key)) {
      if (await verifies(key, signature, text)) by.push(key);
      else (broken = true), found.fault("signature", "checkpoint", `${key.name} (${key.id})`);
    }
  }
  if (log.length && !by.length && !broken) {
    found.fault("other-key", "checkpoint", signatures.slice(0, 3).map(([name, id]) => `${name} (${id})`).join(", "));
  }
  const unseen: Key[] = [];
  for (const key of witnesses) {
    for (const signature of lines(key)) {
      const time = signature.slice(0, 8).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
      const message = new Uint8Array([...bytes(`cosignature/v1\ntime ${time}\n`), ...text]);
      if (signature.length === 72 && time < 1n << 63n && (await verifies(key, signature.slice(8), message))) seen.push([key, time]);
      else found.fault("cosignature", "checkpoint", `${key.name} (${key.id})`);
    }
    if (key.given && !lines(key).length) unseen.push(key);
  }
  for (const key of unseen) found.fault("no-cosignature", "checkpoint", `${key.name} (${key.id})`);
  if (!seen.length) found.caveat("no-witness", "checkpoint");
  else if (!seen.some(([key]) => key.given)) found.caveat("witness-claimed", "checkpoint", seen.map(([key]) => key.name).join(", "));
  if (by.length && !by.some((key) => key.given)) found.gap("keys-claimed", "checkpoint", by[0]!.text);
  Object.assign(found.facts, { origin, size: checkpoint.size, signedBy: by.map((key) => key.text), seen: seen.map(([key, time]) => [key.name, time]) });
}

// ---------------------------------------------------------------- records, entries, documents

function checkEntry(entry: Json | undefined): string {
  if (!isObject(entry) || entry.v !== 1) return wrong("no log entry of version 1");
  const { time, type, site } = entry;
  if (typeof time !== "string" || !MINUTE.test(time) || typeof type !== "string" || typeof site !== "string" || !site) return wrong("site, type or time");
  const fields = Object.hasOwn(FIELDS, type) ? FIELDS[type]! : undefined;
  if (!fields) return type;
  const names = Object.keys(entry).filter((name) => !(name === "moved" && type === "record" && entry.moved === true));
  if (names.length !== fields.length || names.some((name) => !fields.includes(name))) wrong("other fields");
  for (const name of ["commit", "notice", "snapshot"]) {
    if (fields.includes(name) && !(typeof entry[name] === "string" && HEX32.test(entry[name]))) wrong(name);
  }
  return type; // the ranges of an erasure are nothing that a receipt can hold
}

function checkRecord(record: Json | undefined): Obj {
  if (!isObject(record) || record.format !== "volens-record/1") return wrong("no volens-record/1");
  for (const name of ["id", "site", "time", "event", "method", "surface", "language", "notice", "supersedes", "tc"]) {
    if (typeof record[name] !== "string") wrong(name);
  }
  const text = record as Record<string, string>;
  if (!ID.test(text.id!) || (text.supersedes && !ID.test(text.supersedes))) wrong("id");
  if (!TIME.test(text.time!) || !HEX32.test(text.notice!)) wrong("time or notice");
  for (const name of ["purposes", "services"]) {
    const answers = record[name];
    if (!isObject(answers) || Object.values(answers).some((answer) => typeof answer !== "boolean")) wrong(name);
  }
  if (typeof record.unconfigured !== "boolean" || typeof record.gpc !== "boolean") wrong("unconfigured or gpc");
  return record;
}

function contradiction(record: Obj): boolean {
  const granted = Object.values(record.purposes as Obj).includes(true) || Object.values(record.services as Obj).includes(true);
  const event = record.event as string;
  return !EVENTS.includes(event) || granted === (event === "withdrawn") || (event !== "given" && !record.supersedes);
}

/** Seconds since 1970; throws for a day that there is not. */
function seconds(time: string): number {
  const whole = time.length === 17 ? time.replace("Z", ":00Z") : time, value = Date.parse(whole);
  return Number.isNaN(value) || new Date(value).toISOString() !== whole.replace("Z", ".000Z") ? wrong("no such day") : value / 1000;
}

function together(record: Obj, entry: Obj, found: Found): void {
  for (const name of ["notice", "site"]) if (record[name] !== entry[name]) found.fault(name, "record", `${String(record[name])} ≠ ${String(entry[name])}`);
  const times = `${String(record.time)} → ${String(entry.time)}`;
  try {
    const after = seconds(entry.time as string) - seconds(record.time as string) + 59;
    if (after < 0) found.fault("time", "record", times);
    else if (entry.moved) found.caveat("moved", "record", times);
    else if (after > LATE) found.caveat("late", "record", times);
  } catch (error) {
    found.fault("form", "record", (error as Error).message);
  }
}

async function checkReceipt(value: Json | undefined, log: Key[], witnesses: Key[], found: Found): Promise<void> {
  const attempt = <T>(place: string, read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      return void found.fault("form", place, error.message);
    }
  };
  const receipt = fields(value, ["format", "record", "salt", "entry", "index", "proof", "checkpoint"], "receipt", found);
  const record = attempt("record", () => checkRecord(receipt.record));
  const kind = attempt("entry", () => checkEntry(receipt.entry));
  const entry = kind === undefined ? undefined : (receipt.entry as Obj);
  if (record) found.facts.record = record;
  if (entry) found.facts.entry = entry;
  if (kind !== undefined && kind !== "record") found.fault("form", "entry", kind);
  if (record) {
    if (contradiction(record)) found.fault("event", "record", String(record.event));
    if (record.unconfigured) found.fault("unconfigured", "record");
    if (record.supersedes) found.caveat("supersedes", "record", String(record.supersedes));
  }
  const both = record && entry && kind === "record";
  if (typeof receipt.salt !== "string" || !SALT.test(receipt.salt)) found.fault("form", "salt");
  else if (both && hex(await sha256(bytes("volens/v1"), unhex(receipt.salt), bytes(canonical(record)))) !== entry.commit) found.fault("commit", "record");
  if (both) together(record, entry, found);
  const checkpoint = attempt("checkpoint", () => (typeof receipt.checkpoint === "string" ? readCheckpoint(receipt.checkpoint) : wrong("no text")));
  if (checkpoint) await signed(checkpoint, log, witnesses, found);
  if (checkpoint && entry && site(checkpoint) !== entry.site) found.fault("site", "checkpoint", `${checkpoint.origin} ≠ ${String(entry.site)}`);
  const index = receipt.index;
  if (typeof index !== "number" || index < 0) found.fault("form", "index");
  else found.facts.index = index;
  const proof = attempt("proof", () => {
    const path = receipt.proof;
    if (!Array.isArray(path) || path.length > MAX_PATH) return wrong("no list of hashes");
    return path.map((part) => (typeof part === "string" ? base64(part, 32) : wrong("no text")));
  });
  if (!checkpoint || !entry || typeof index !== "number" || index < 0 || !proof) return;
  const data = bytes(canonical(entry));
  if (data.length > MAX_ENTRY) found.fault("form", "entry", `${data.length}`);
  else if (!(await included(await sha256(new Uint8Array([0]), data), BigInt(index), checkpoint.size, proof, checkpoint.root))) {
    found.fault("path", BigInt(index) >= checkpoint.size ? "index" : "proof", `${index} / ${checkpoint.size}`);
  }
}

function fields(value: Json | undefined, names: string[], place: string, found: Found): Obj {
  if (!isObject(value)) return found.fault("form", place), Object.create(null) as Obj;
  const missing = names.filter((name) => !(name in value)), more = Object.keys(value).filter((name) => !names.includes(name));
  if (missing.length) found.fault("form", place, `− ${missing.join(", ")}`);
  if (more.length) found.fault("form", place, `+ ${more.join(", ")}`);
  return value;
}

async function checkBundle(value: Obj, log: Key[], witnesses: Key[], found: Found): Promise<void> {
  const bundle = fields(value, ["format", "receipt", "notice", "keys"], "bundle", found), keys = bundle.keys;
  let claimed: Key[] = [];
  try {
    if (!Array.isArray(keys) || keys.length > MAX_SIGNATURES) wrong("no list of keys");
    claimed = await Promise.all((keys as Json[]).map((key) => (typeof key === "string" ? readKey(key, false) : wrong("no text"))));
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    found.fault("form", "keys", error.message);
  }
  if (isObject(bundle.receipt) && bundle.receipt.format !== "volens-receipt/1") found.fault("form", "receipt");
  const of = (kind: number) => claimed.filter((key) => key.kind === kind);
  await checkReceipt(bundle.receipt, log.length ? log : of(1), witnesses.length ? witnesses : of(4), found);
  const { notice } = bundle, { record } = found.facts;
  if (!isObject(notice) || notice.format !== "volens-notice/1") found.fault("form", "notice");
  else if (record && hex(await sha256(bytes(canonical(notice)))) !== record.notice) found.fault("bundle-notice", "notice");
}

/** A receipt, a bundle or a checkpoint, by what it is. `keys` of logs and witnesses are those that were given; a witness among them is asked for. */
export async function check(data: Uint8Array, keys: Key[], witnesses: Key[]): Promise<Verdict> {
  const found = new Found(), log = keys.filter((key) => key.kind === 1);
  const given = witnesses.map((key) => key.text);
  const trusted = [...witnesses, ...keys.filter((key) => key.kind === 4 && !given.includes(key.text)).map((key) => ({ ...key, given: false }))];
  let text = "", kind = "document";
  try {
    if (data.length > MAX_DOCUMENT) wrong("too long");
    try {
      text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
    } catch {
      wrong("no UTF-8");
    }
    if (!/^[ \t\n\r\v\f]*\{/.test(text)) {
      kind = "checkpoint";
      await signed(readCheckpoint(text), log, trusted, found);
      return found.verdict(kind);
    }
    const value = readJson(text), format = isObject(value) ? value.format : undefined;
    if (format === "volens-receipt/1") await checkReceipt(value, log, trusted, found);
    else if (format === "volens-bundle/1") await checkBundle(value as Obj, log, trusted, found);
    else wrong("neither a receipt nor a bundle");
    return found.verdict(format === "volens-receipt/1" ? "receipt" : "bundle");
  } catch (error) {
    if (!(error instanceof Malformed) && !(error instanceof RangeError)) throw error;
    found.fault("unreadable", kind, error.message);
    return found.verdict(kind);
  }
}
