window.works = function (name) {
  var page = document.documentElement, done = page.getAttribute("data-works");
  page.setAttribute("data-works", done ? done + " " + name : name);
};
