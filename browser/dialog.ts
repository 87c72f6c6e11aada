/**
 * *Paramétrer vos choix* over the page: the panel in a native modal dialog.
 *
 * One file, the same for everybody, asked for at the first opening and kept for good: the server writes the panel as a tree
 * in front of this code (screens/dialog.py). What the visitor has chosen is filled in here, from the visitor's own cookie
 * and from what the page was told. The tree is built node by node, which pages with Trusted Types allow. Whatever fails
 * rejects, and the guard then lets the form go to the panel's own page.
 */
import { at, follow as obey, post } from "./answer";
import type { Inside } from "./contract";
import { find, follow, needs } from "./switches";

type Tree = string | [name: string, attributes: Record<string, string>, ...children: Tree[]];
declare const PANEL: { css: string; form: Tree; fresh: string; locale: string; months: number };

/** The last day on which an answer of that day holds, as the server reckons it. */
function until(day: Date): Date {
  const [year, month] = [day.getUTCFullYear(), day.getUTCMonth() + PANEL.months];
  return new Date(Date.UTC(year, month, Math.min(day.getUTCDate(), new Date(Date.UTC(year, month + 1, 0)).getUTCDate())));
}

function build(tree: Tree, holds: Record<string, unknown>, values: Record<string, string>): Node {
  const filled = (text: string): string => text.replace(/__volens_(\w+?)__/g, (_, name: string) => values[name]!);
  if (typeof tree == "string") return new Text(filled(tree));
  const [name, { "data-if": condition, ...attributes }, ...children] = tree;
  if (condition && !holds[condition]) return new Text();
  const node = document.createElementNS("http://www.w3.org/1999/xhtml", name);
  for (const [key, value] of Object.entries(attributes)) {
    const text = filled(value);
    node.setAttribute(key, value.endsWith("=__volens_back__") ? value.replace("__volens_back__", encodeURIComponent(values.back!).replace(/%2F/g, "/")) : text);
  }
  node.append(...children.map((child) => build(child, holds, values)));
  return node;
}

/** The panel as its page would show it to this visitor. */
function filled(host: HTMLElement): HTMLFormElement {
  const choice = /(?:^|; )volens=([^;]*)/.exec(document.cookie)?.[1];
  const before = host.dataset.storage != "none"; // the page was made for a choice that holds
  const answered = !!choice && (before || host.hasAttribute("data-answered"));
  const [, , digits = "", answers = ""] = answered ? choice!.split(".") : [];
  const items = answers.split("~");
  const fresh = host.hasAttribute("data-answered") || !answered ? [] : (host.dataset.new || "").split(" ");
  const day = new Date(Date.UTC(+digits.slice(0, 4), +digits.slice(4, 6) - 1, +digits.slice(6)));
  const dates = new Intl.DateTimeFormat(`${PANEL.locale}-u-nu-latn`, { dateStyle: "long", timeZone: "UTC" });
  const objects = /(?:^|; )volens-audience=/.test(document.cookie);
  const holds: Record<string, unknown> = {
    none: !answered,
    given: answered,
    refused: answers == "-",
    new: fresh[0], // in the order of the notice
    dnt: !objects && navigator.doNotTrack == "1",
    gpc: "gpc" in host.dataset,
    over: "gpc" in host.dataset,
  };
  const form = build(PANEL.form, holds, {
    back: location.pathname + location.search,
    text: choice ?? "",
    date: answered ? dates.format(day) : "",
    until: answered ? dates.format(until(day)) : "",
  }) as HTMLFormElement;
  const all = (name: string): HTMLInputElement[] => [...form.querySelectorAll<HTMLInputElement>(`[type=checkbox][name=${name}]`)];
  const purposes = all("purposes");
  const services = all("services");
  const turn = (input: HTMLInputElement, on: boolean): void => void input.toggleAttribute("checked", on && !fresh.includes(input.value));
  for (const purpose of purposes) turn(purpose, items.includes(purpose.value));
  const on = (id: string): boolean => purposes.some((purpose) => purpose.value == id && purpose.checked);
  for (const service of services) {
    const asked = needs(service);
    const alone = items.includes(`+${service.value}`) && !asked.some((id) => fresh.includes(id));
    turn(service, (asked.every(on) || alone) && !items.includes(`!${service.value}`));
  }
  for (const input of all("object")) input.toggleAttribute("checked", objects);
  const names = fresh.flatMap((id) => {
    const name = form.querySelector(`[type=checkbox][value="${id}"]`)?.closest(".row")!.querySelector("b");
    if (!name) return [];
    const mark = document.createElement("em");
    mark.className = "new";
    mark.textContent = PANEL.fresh;
    name.after(" ", mark);
    return [name.textContent!];
  });
  if (names[0]) form.querySelector("#new b")!.textContent = new Intl.ListFormat(PANEL.locale).format(names);
  for (const purpose of purposes) {
    const section = purpose.closest("section")!;
    const own = [...section.querySelectorAll<HTMLInputElement>("[name=services]")];
    section.querySelector("details")!.toggleAttribute("open", own.some((s) => s.checked != purpose.checked || fresh.includes(s.value)));
  }
  // What the browser asks for, or the visitor's own word on this site where it says otherwise.
  const over = [...purposes, ...services].some((input) => input.checked && input.hasAttribute("data-profiles"));
  form.querySelector(over ? "#gpc" : "#over")?.remove();
  return form;
}

export async function open(inside: Inside): Promise<void> {
  const host = inside.host!;
  const root = host.shadowRoot!;
  if (root.querySelector("dialog")) return;
  const opener = root.activeElement as HTMLElement | null;
  const form = filled(host);
  const dialog = document.createElement("dialog");
  const inner = document.createElement("div");
  dialog.id = "volens-panel";
  dialog.setAttribute("aria-labelledby", "volens-panel-title");
  inner.className = "v panel";
  inner.append(form);
  dialog.append(inner);
  // A page's <base> must not lead our addresses elsewhere.
  form.setAttribute("action", at(inside) + "choice");
  for (const link of form.querySelectorAll("a")) {
    const to = link.getAttribute("href") || "";
    if (/^\/(?!\/)/.test(to)) link.setAttribute("href", location.origin + to);
  }
  follow(form);
  find(form);

  const field = (name: string): string[] => new FormData(form).getAll(name).map(String);
  let sent = false;
  dialog.addEventListener("submit", (event) => {
    event.preventDefault();
    event.stopPropagation();
    if (sent) return;
    sent = true;
    const answer = (event.submitter as HTMLButtonElement).value;
    const fields: Record<string, unknown> = { answer, purposes: field("purposes"), services: field("services"), object: field("object") };
    for (const name of ["notice", "language", "surface", "back"]) fields[name] = field(name)[0];
    post(inside, fields).then(
      (reply) => {
        dialog.close();
        void obey(inside, reply);
      },
      () => {
        // Stale, not recorded, unreachable: the page that the form leads to says which.
        const chosen = document.createElement("input");
        Object.assign(chosen, { type: "hidden", name: "answer", value: answer });
        form.append(chosen);
        HTMLFormElement.prototype.submit.call(form);
      },
    );
  });
  dialog.querySelector(".x")!.addEventListener("click", (event) => {
    event.preventDefault();
    dialog.close();
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    host.removeAttribute("data-open");
    const shown = opener?.isConnected && opener.getClientRects().length ? opener : root.getElementById("volens-band");
    shown?.focus();
  });

  if (!root.adoptedStyleSheets.length) {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(PANEL.css);
    root.adoptedStyleSheets = [sheet];
  }
  root.append(dialog);
  dialog.showModal();
  host.setAttribute("data-open", "");
}
