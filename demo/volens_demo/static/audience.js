// Our own, exempt measure of audience: one count per page read, under the declared cookie "aud_visite".
(function () {
  var name = 'aud_visite', seen = document.cookie.split('; ').some(function (c) { return c.indexOf(name + '=') === 0; });
  // Thirteen months at most, and a visit doesn't prolong it.
  if (!seen) document.cookie = name + '=1; path=/; max-age=33696000; samesite=lax';
  fetch('/audience/vue', { method: 'POST', body: JSON.stringify({ page: location.pathname, nouvelle: !seen }) }).catch(function () {});
})();
