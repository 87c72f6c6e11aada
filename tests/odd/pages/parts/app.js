import { join } from "own";
const app = document.getElementById("app");
function render(view) {
  const main = document.createElement("main");
  main.append(Object.assign(document.createElement("h1"), { textContent: view }), Object.assign(document.createElement("p"), { textContent: join(["first", "second"]) }));
  app.replaceChildren(main);
  const late = document.createElement("script"); // what a router's plug-in does on every view
  late.src = "@gauge@/t.js?view=" + view;
  document.head.append(late);
  const film = document.createElement("iframe");
  film.title = "film";
  film.src = "@film@/f.html";
  app.append(film);
}
window.go = async (view) => {
  history.pushState({ view }, "", "/spa/" + view);
  render(view);
  const { named } = await import("app/late.js");
  works(named(view));
};
addEventListener("popstate", (event) => { render(event.state?.view ?? "home"); works("back"); });
render("home");
works("home");
await go("second");
history.back();
