"use strict";
(function () {
  var root = document.documentElement;
  var all = function (selector, within) {
    return Array.prototype.slice.call((within || document).querySelectorAll(selector));
  };

  // Stacked cells keep being a table for those who cannot see it.
  all("table").forEach(function (table) {
    table.setAttribute("role", "table");
    all("thead,tbody", table).forEach(function (e) { e.setAttribute("role", "rowgroup"); });
    all("tr", table).forEach(function (e) { e.setAttribute("role", "row"); });
    all("td", table).forEach(function (e) { e.setAttribute("role", "cell"); });
    all("th", table).forEach(function (e) {
      e.setAttribute("role", e.getAttribute("scope") === "col" ? "columnheader" : "rowheader");
    });
  });

  // Theme. A page opened from a file may have no storage.
  var button = document.getElementById("theme");
  var order = ["system", "light", "dark"];
  var keep = function (value) {
    try {
      if (value === undefined) { return localStorage.getItem("evenhand-theme"); }
      localStorage.setItem("evenhand-theme", value);
    } catch (e) { /* It is then kept for this visit only. */ }
    return null;
  };
  var theme = order.indexOf(keep()) > 0 ? keep() : "system";
  var paint = function () {
    if (theme === "system") { root.removeAttribute("data-theme"); } else { root.setAttribute("data-theme", theme); }
    button.textContent = "Theme: " + theme;
  };
  button.hidden = false;
  button.addEventListener("click", function () {
    theme = order[(order.indexOf(theme) + 1) % order.length];
    keep(theme);
    paint();
  });
  paint();

  // Search in the measurements.
  var tools = document.getElementById("tools");
  if (tools) {
    var query = document.getElementById("q");
    var only = document.getElementById("only");
    var shown = document.getElementById("shown");
    var rows = all("tr[data-s]").map(function (row) {
      var metric = row.parentNode.querySelector("tr.metric");
      var probe = row.closest("section.probe").querySelector("h3");
      return { row: row, text: [probe, metric, row].map(function (e) { return e.textContent; }).join(" ").toLowerCase() };
    });
    var filter = function () {
      var words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
      var count = 0;
      rows.forEach(function (r) {
        var fits = (!only.value || r.row.getAttribute("data-s") === only.value) &&
          words.every(function (w) { return r.text.indexOf(w) >= 0; });
        r.row.hidden = !fits;
        count += fits ? 1 : 0;
      });
      all("table.measures tbody").forEach(function (body) {
        body.hidden = !body.querySelector("tr[data-s]:not([hidden])");
      });
      var filtering = words.length > 0 || only.value !== "";
      all("section.probe").forEach(function (probe) {
        probe.classList.toggle("filtered", filtering && !probe.querySelector("tr[data-s]:not([hidden])"));
      });
      shown.textContent = count + " of " + rows.length + " measurements shown";
    };
    var timer = 0;
    query.addEventListener("input", function () { clearTimeout(timer); timer = setTimeout(filter, 120); });
    only.addEventListener("change", filter);
    tools.hidden = false;
    filter();
  }

  // A permalink opens what it points into.
  var reveal = function () {
    var id = "";
    try { id = decodeURIComponent(location.hash.slice(1)); } catch (e) { return; }
    var target = id && document.getElementById(id);
    if (!target) { return; }
    if (target.hidden && tools) {
      document.getElementById("q").value = "";
      document.getElementById("only").value = "";
      document.getElementById("only").dispatchEvent(new Event("change"));
    }
    for (var e = target; e; e = e.parentElement) {
      if (e.tagName === "DETAILS") { e.open = true; }
    }
    target.scrollIntoView();
  };
  window.addEventListener("hashchange", reveal);
  reveal();

  // Paper cannot be clicked.
  var opened = [];
  window.addEventListener("beforeprint", function () {
    opened = all("details:not([open])");
    opened.forEach(function (d) { d.open = true; });
  });
  window.addEventListener("afterprint", function () {
    opened.forEach(function (d) { d.open = false; });
    opened = [];
  });

  // Where the reader is.
  var links = {};
  all(".toc a").forEach(function (a) { links[a.getAttribute("href").slice(1)] = a; });
  if ("IntersectionObserver" in window) {
    var watcher = new IntersectionObserver(function (entries) {
      entries.forEach(function (entry) {
        if (!entry.isIntersecting) { return; }
        Object.keys(links).forEach(function (id) {
          if (id === entry.target.id) { links[id].setAttribute("aria-current", "true"); } else { links[id].removeAttribute("aria-current"); }
        });
      });
    }, { rootMargin: "-10% 0px -80% 0px" });
    Object.keys(links).forEach(function (id) {
      var section = document.getElementById(id);
      if (section) { watcher.observe(section); }
    });
  }
})();
