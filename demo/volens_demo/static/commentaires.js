// The comment area once writing is allowed: Isso's own client in place of the plain list and form, and the account of Trombine beside it.
(function () {
  'use strict';
  var area = document.querySelector('.comments[data-page]'), plain = area && area.querySelector('form.plain');
  if (!plain) return;
  var thread = document.createElement('section');
  thread.id = 'isso-thread';
  thread.setAttribute('data-isso-id', area.dataset.page);
  thread.setAttribute('data-title', area.dataset.title);
  plain.before(thread);

  var account = null, zone = area.querySelector('[data-trombine]');
  function put(field, value) { if (field && !field.value) field.value = value; }
  // A box of Isso's: what was typed in the plain form comes along, and the account says who writes.
  function dress(box) {
    var text = box.querySelector('.isso-textarea'), name = box.querySelector('[name=author]'), mail = box.querySelector('[name=email]');
    text.setAttribute('aria-label', 'Votre commentaire');
    if (!box.dataset.dressed) {
      box.dataset.dressed = '1';
      var n = area.querySelectorAll('.isso-postbox').length; // Isso gives every box the same ids
      box.querySelectorAll('[for]').forEach(function (label) {
        var field = box.querySelector('#' + label.htmlFor);
        if (field) { field.id += '-' + n; label.htmlFor = field.id; }
      });
      name.required = true;
      name.placeholder = mail.placeholder = '';
    }
    if (box.parentNode === thread) { put(text, plain.elements.texte.value); put(name, plain.elements.nom.value); }
    if (account) { name.value = account.nom; mail.value = account.courriel; }
    box.classList.toggle('signed', !!account);
  }
  function look() {
    area.querySelectorAll('.isso-postbox').forEach(dress);
    area.querySelectorAll('.isso-avatar img').forEach(function (face) {
      if (face.alt !== '' || !face.hasAttribute('alt')) face.alt = '';
      face.onerror = function () { face.remove(); };
    });
    var heading = thread.querySelector('.isso-thread-heading');
    var list = thread.querySelector('#isso-root');
    if (heading && list && heading.nextElementSibling !== list) { heading.setAttribute('aria-level', '3'); list.before(heading); } // after the box one writes in
    if (thread.querySelector('.isso-postbox')) area.classList.add('with-isso');
  }
  new MutationObserver(look).observe(thread, { childList: true, subtree: true });
  plain.addEventListener('input', look); // typed before the reload, put back after it

  addEventListener('message', function (event) {
    if (!zone || event.origin !== zone.dataset.trombine || !('trombine' in Object(event.data))) return;
    var before = account;
    account = event.data.trombine;
    if (before && !account) area.querySelectorAll('[name=author],[name=email]').forEach(function (field) { field.value = ''; });
    look();
  });

  var client = document.createElement('script');
  var settings = { '': '/isso/', '-css': 'false', '-lang': 'fr', '-vote': 'false' };
  for (var name in settings) client.setAttribute('data-isso' + name, settings[name]);
  client.src = '/isso/js/embed.min.js';
  document.head.append(client);
})();
