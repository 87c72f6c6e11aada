// The page's own worker: answers from its cache first, and tells Gauge of every page.
self.addEventListener("install", (event) => event.waitUntil(caches.open("app-1").then((cache) => cache.add(new Request("/p/installed", { credentials: "omit" }))).then(() => skipWaiting())));
self.addEventListener("activate", (event) => event.waitUntil(clients.claim()));
self.addEventListener("fetch", (event) => {
  if (event.request.mode !== "navigate" || !/installed/.test(event.request.url)) return;
  event.respondWith(caches.match("/p/installed", { ignoreVary: true }).then((kept) => {
    fetch("@gauge@/hit?worker", { mode: "no-cors" }).catch(() => 0);
    return kept || fetch(event.request);
  }));
});
