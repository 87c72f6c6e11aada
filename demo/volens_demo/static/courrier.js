// The newspaper's own behaviour: theme button, weather, draft, and the corner that shows what third parties received.
(function () {
  'use strict';
  var root = document.documentElement;
  function $(selector) { return document.querySelector(selector); }

  var button = $('[data-theme-button]'), themes = ['auto', 'clair', 'sombre'];
  if (button) {
    var show = function () { button.lastElementChild.textContent = root.dataset.theme || 'auto'; };
    show();
    button.addEventListener('click', function () {
      var next = themes[(themes.indexOf(root.dataset.theme || 'auto') + 1) % 3];
      if (next === 'auto') { delete root.dataset.theme; localStorage.removeItem('theme'); } else { root.dataset.theme = next; localStorage.setItem('theme', next); }
      show();
    });
  }

  var geo = $('[data-geo]');
  if (geo && navigator.geolocation) geo.addEventListener('click', function (event) {
    event.preventDefault();
    var text = $('[data-sky]'), old = text.textContent;
    text.textContent = 'Recherche de votre position…';
    var plain = function () { location.href = geo.href; }; // the page behind the gate says what is needed
    navigator.geolocation.getCurrentPosition(function (position) {
      var at = position.coords.latitude.toFixed(0) + ',' + position.coords.longitude.toFixed(0);
      fetch('/meteo/ici?position=' + at, { headers: { accept: 'application/json' } }).then(function (answer) {
        if (!answer.ok) throw new Error(answer.status);
        return answer.json();
      }).then(function (weather) {
        $('[data-place]').textContent = weather.place;
        $('[data-degrees]').textContent = weather.degrees;
        text.textContent = weather.sky;
      }).catch(plain);
    }, function () { text.textContent = old; plain(); }, { timeout: 4000 });
  });

  // A letter to the editor is written over two pages and must survive both, under the declared key "brouillon".
  var draft = $('[data-draft]');
  if (draft) {
    var kept = {};
    try { kept = JSON.parse(sessionStorage.getItem('brouillon')) || {}; } catch (error) { kept = {}; }
    draft.querySelectorAll('[name]').forEach(function (field) {
      if (field.type === 'hidden' && !('kept' in field.dataset)) return;
      if (kept[field.name]) field.value = kept[field.name];
      field.addEventListener('input', function () { kept[field.name] = field.value; sessionStorage.setItem('brouillon', JSON.stringify(kept)); });
    });
    draft.querySelectorAll('[data-show]').forEach(function (place) { place.textContent = kept[place.dataset.show] || '(vide)'; });
    if (draft.dataset.draft === 'last') draft.addEventListener('submit', function () { sessionStorage.removeItem('brouillon'); });
  }

  var corner = $('[data-witness]');
  if (!corner) return;
  // The choice, read where the page can see it: the text of the "volens" cookie.
  function choice() {
    var found = /(?:^|; )volens=[^;]*\.([^.;]+)(?:;|$)/.exec(document.cookie);
    return !found ? 'avant' : found[1] === '-' ? 'refus' : 'accord';
  }
  function put(place, count) {
    if (place.textContent !== String(count)) place.textContent = count;
    place.classList.toggle('hot', count > 0);
  }
  function look() {
    if (document.hidden) return;
    fetch('/temoin.json?choix=' + choice(), { cache: 'no-store' }).then(function (answer) { return answer.json(); }).then(function (all) {
      all.parties.forEach(function (party) {
        document.querySelectorAll('[data-party="' + party.id + '"]').forEach(function (row) {
          row.querySelectorAll('[data-state]').forEach(function (cell) { put(cell, party.counts[cell.dataset.state]); });
          var known = row.querySelector('[data-known]'), learns = row.querySelector('[data-learns]');
          if (known) known.textContent = party.knows;
          if (learns) learns.textContent = party.learns.join(', ') || '—';
        });
      });
      document.querySelectorAll('[data-now]').forEach(function (place) { place.textContent = all.now; });
      document.querySelectorAll('[data-count]').forEach(function (place) { put(place, all.counts[place.dataset.count || all.state]); });
      document.querySelectorAll('[data-set]').forEach(function (place) { place.textContent = all.kept.join(', ') || 'rien'; });
    }).catch(function () {});
  }
  addEventListener('load', function () { setTimeout(look, 400); setInterval(look, 1500); });
  document.addEventListener('visibilitychange', look);
})();
