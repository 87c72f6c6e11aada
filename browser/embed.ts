/**
 * In the document that stands in a withheld frame, where it is asked for: the page around it, and other frames of the same
 * service, learn at once that the service was allowed, so that the band tells the truth and nothing is made again. While it
 * plays, the frame becomes as high as what is in it says it is.
 */
const channel = new BroadcastChannel("volens");
const around = self.frameElement;

/* eslint-disable @typescript-eslint/no-explicit-any -- what a service sends may be anything */
/** The height that a player says it has, in the words of X, Instagram and Threads, Reddit, Datawrapper, TikTok, Telegram, Bluesky, Mastodon. */
function told(data: any): number {
  try {
    if (typeof data === "string") data = /^\[iFrameSizer\]/.test(data) ? { height: data.split(":")[1] } : JSON.parse(data);
    const height =
      data["twttr.embed"]?.params?.[0]?.height ??
      (data.type === "MEASURE" ? data.details.height : data.type === "resize.embed" ? data.data : undefined) ??
      Object.values(data["datawrapper-height"] ?? {})[0] ??
      data.height;
    return Math.ceil(Number(height)) || 0;
  } catch {
    return 0;
  }
}

if (document.documentElement.className) {
  // Under an account a page that hears it makes itself again, which would end what plays: no cookie tells what changed.
  if (!around?.ownerDocument.querySelector("volens-notice[data-account]")) channel.postMessage(0);
  const player = document.querySelector("iframe")!;
  const { origin } = new URL(player.src);
  const box = new URLSearchParams(location.search).get("sandbox");
  if (box != null) around?.setAttribute("sandbox", box); // for what the page shows there next
  addEventListener("message", (event) => {
    if (event.source !== player.contentWindow || event.origin !== origin || !around) return;
    const height = told(event.data);
    // It grows and never shrinks, and not without end: what stands below moves as little as it can.
    if (height > innerHeight && height <= 3000 && around.clientHeight < height) around.setAttribute("height", `${height}`);
  });
  // Mastodon answers who asks.
  player.addEventListener("load", () => player.contentWindow!.postMessage({ type: "setHeight", id: 0 }, origin));
} else {
  channel.onmessage = () => location.reload();
  // A script's own sandbox would stop our form and link. It goes to the player, whom it is meant for, and is whole again once that plays.
  const box = around?.getAttribute("sandbox");
  if (box != null && !/allow-forms/i.test(box)) {
    around!.setAttribute("sandbox", `${box} allow-forms allow-popups allow-popups-to-escape-sandbox`);
    location.replace(`${location.pathname + location.search}&sandbox=${encodeURIComponent(box)}`);
  }
  // A frame that a script inserts says only here how it may behave.
  const back = document.querySelector<HTMLInputElement>("[name=back]");
  if (around && back && !/&allow/.test(back.value))
    for (const name of ["allow", "allowfullscreen", "referrerpolicy"])
      if (around.hasAttribute(name)) back.value += `&${name}=${encodeURIComponent(around.getAttribute(name)!)}`;
}
