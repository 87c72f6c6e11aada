/** *Paramétrer vos choix* as a page of its own: the switches follow each other, Escape goes back. Nothing here is needed to answer. */
import { find, follow } from "./switches";

// A page of its own: back to where the visitor came from, where the address doesn't say.
const own = document.querySelector<HTMLElement>("main.v");
if (own) {
  const form = own.querySelector("form");
  follow(own);
  if (form) find(form);
  // The first layer's link to the list of services shows the list.
  if (location.hash == "#services") for (const details of own.querySelectorAll<HTMLDetailsElement>(".purpose:has([name=purposes])>details")) details.open = true;
  const from = document.referrer.startsWith(location.origin + "/") && !/[?&]back=/.test(location.search) ? new URL(document.referrer) : null;
  const field = own.querySelector<HTMLInputElement>("input[name=back]");
  const close = own.querySelector<HTMLElement>(".x");
  if (from && field) field.value = from.pathname + from.search;
  if (from && close) close.setAttribute("href", from.href);
  addEventListener("keydown", (event) => {
    if (event.key == "Escape") close?.click();
  });
}
