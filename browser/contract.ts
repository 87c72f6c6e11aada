/** What the server, the guard and the panel say to each other (docs: DESIGN §3, §8). */

/** Written by the server into `data-volens`; short keys, because it stands in every page. */
export interface Config {
  /** Reserved path, "/_volens/". */
  p: string;
  /** Short digest of the notice. */
  n?: string;
  /** The grant this page was made for. */
  k?: string;
  /** Text of the `volens` cookie this page was made for. */
  c?: string;
  /** Of a logged-in reader: the text of the account's choice, which no cookie tells; empty where it has none. */
  u?: string;
  /** Everything is open: enforce nothing. */
  a?: 1;
  /** The page answered a POST: never reload it. */
  m?: 1;
  // Sources of regular expressions: the first three over a whole name.
  /** Cookie names that may be read and, but for ours, set. */
  C?: string;
  /** Names of Storage items, databases and caches that may be used for real. */
  S?: string;
  /** Hosts allowed for anything. */
  H?: string;
  /** Denied although under `H`, and first-party collection paths: over host, path and query. */
  P?: string;
  /** Geolocation is allowed. */
  g?: 1;
  /** Service workers are allowed. */
  w?: 1;
}

/** The JSON answer of POST choice. */
export interface Answer {
  choice: string;
  grant: string;
  reload: boolean;
  /** Storage names now permitted: what the page holds under them is written for real before it is made again. */
  keep?: { C?: string; S?: string };
}

/** What the guard shares with the files it fetches later. */
export interface Inside {
  config: Config;
  /** Virtual cookies: name to the text that set it. */
  jar: Map<string, string>;
  /** Virtual localStorage and sessionStorage. */
  areas: Record<string, Map<string, string>>;
  /** From now on these names are real. */
  allow(keep: { C?: string; S?: string }): void;
  /** The text of the `volens` cookie when last looked at. */
  choice: string;
  /** Called with the new choice. */
  on: ((choice: string) => void)[];
  channel?: BroadcastChannel;
  host?: HTMLElement;
}
