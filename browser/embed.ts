/**
 * In the document that stands in a withheld frame: the page around it, and other frames of the same service, learn at
 * once that the service was allowed, so that the band tells the truth and nothing is made again.
 */
const plays = document.documentElement.classList.contains("playing");
const once = new URLSearchParams(location.search).get("once") === "1";
const channel = new BroadcastChannel("volens");
if (plays && !once) channel.postMessage(0);
if (!plays) channel.onmessage = () => location.reload();
