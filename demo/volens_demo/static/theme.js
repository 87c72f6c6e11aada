// Before the first paint: the theme the visitor chose, kept under the declared key "theme".
(function () {
  try {
    var theme = localStorage.getItem('theme');
    if (theme === 'clair' || theme === 'sombre') document.documentElement.dataset.theme = theme;
  } catch (error) { /* storage refused: the system's theme */ }
})();
