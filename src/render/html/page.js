"use strict";
(function () {
  var bar = document.getElementById("bar"), box = document.getElementById("filter"), said = document.getElementById("shown");
  var rows = Array.prototype.slice.call(document.querySelectorAll(".f")), texts = null, soon = 0;
  var folds = document.querySelectorAll("details");
  function filter() {
    var words = box.value.toLowerCase().split(/\s+/).filter(Boolean), shown = 0;
    texts = texts || rows.map(function (row) { return row.textContent.toLowerCase(); });
    rows.forEach(function (row, at) {
      var fits = words.every(function (word) { return texts[at].indexOf(word) >= 0; });
      if (row.hidden === fits) row.hidden = !fits;
      if (fits) shown += 1;
    });
    said.textContent = words.length ? shown + " of " + rows.length + " entries" : "";
  }
  function lead() {
    var to = document.getElementById(location.hash.slice(1));
    if (!to) return;
    if (to.hidden) { box.value = ""; filter(); }
    for (var each = to; each; each = each.parentElement) if (each.tagName === "DETAILS") each.open = true;
    to.scrollIntoView();
    if (to.tagName === "DETAILS") to.firstElementChild.focus({ preventScroll: true });
  }
  function fold(open) {
    folds.forEach(function (each) { if (!each.closest("[hidden]")) each.open = open; });
  }
  bar.hidden = false;
  // Of a large page each letter would be waited for.
  box.addEventListener("input", function () {
    clearTimeout(soon);
    soon = setTimeout(filter, rows.length > 500 ? 150 : 0);
  });
  document.getElementById("open").addEventListener("click", function () { fold(true); });
  document.getElementById("close").addEventListener("click", function () { fold(false); });
  window.addEventListener("hashchange", lead);
  document.addEventListener("click", function (event) {
    var link = event.target.closest("a[href^='#']");
    if (link && link.getAttribute("href") === location.hash) lead();
  });
  document.addEventListener("keydown", function (event) {
    if (event.key === "/" && document.activeElement !== box && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      box.focus();
    } else if (event.key === "Escape" && document.activeElement === box) {
      box.value = "";
      filter();
    }
  });
  lead();
})();
