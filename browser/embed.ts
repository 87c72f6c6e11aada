/**
 * In the document that stands in a withheld frame, where it is asked for: the page around it, and other frames of the same
 * service, learn at once that the service was allowed, so that the band tells the truth and nothing is made again.
 */
const channel = new BroadcastChannel("volens");
if (document.documentElement.className) channel.postMessage(0);
else {
  channel.onmessage = () => location.reload();
  // A frame that a script inserted says only here how it may behave.
  const frame = self.frameElement;
  const back = document.querySelector<HTMLInputElement>("[name=back]");
  if (frame && back && !/&allow/.test(back.value))
    for (const name of ["allow", "allowfullscreen", "referrerpolicy"])
      if (frame.hasAttribute(name)) back.value += `&${name}=${encodeURIComponent(frame.getAttribute(name)!)}`;
}
