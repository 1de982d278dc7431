"use strict";
(function () {
  var root = document.documentElement;
  var at = function (id) { return document.getElementById(id); };
  var keep = function (name, value) {
    try {
      if (value === undefined) { return localStorage.getItem("evenhand-" + name); }
      localStorage.setItem("evenhand-" + name, value);
    } catch (e) { /* It is then kept for this visit only. */ }
    return null;
  };

  // Language: both stand in the page; attributes and options are exchanged.
  var switched = at("lang");
  var language = keep("lang") === "zh" ? "zh" : "en";
  var speak = function () {
    if (language === "zh") { root.setAttribute("data-l", "zh"); } else { root.removeAttribute("data-l"); }
    root.lang = language === "zh" ? "zh-CN" : "en";
    switched.textContent = language === "zh" ? "English" : "中文";
    switched.lang = language === "zh" ? "en" : "zh-CN";
    [["aria-label", "data-za"], ["data-h", "data-zh"]].forEach(function (pair) {
      Array.prototype.forEach.call(document.querySelectorAll("[" + pair[1] + "]"), function (e) {
        if (!e.hasAttribute("data-en-" + pair[0])) { e.setAttribute("data-en-" + pair[0], e.getAttribute(pair[0])); }
        e.setAttribute(pair[0], e.getAttribute(language === "zh" ? pair[1] : "data-en-" + pair[0]));
      });
    });
    Array.prototype.forEach.call(document.querySelectorAll("a[download]"), function (e) {
      var there = new URL(e.href);
      there.searchParams.set("lang", language);
      e.href = there.href;
    });
    Array.prototype.forEach.call(document.querySelectorAll("option[data-zt]"), function (e) {
      if (!e.hasAttribute("data-et")) { e.setAttribute("data-et", e.textContent); }
      e.textContent = e.getAttribute(language === "zh" ? "data-zt" : "data-et");
    });
    paint();
  };

  // Theme.
  var button = at("theme");
  var order = ["system", "light", "dark"];
  var chinese = { system: "主题：跟随系统", light: "主题：浅色", dark: "主题：深色" };
  var theme = order.indexOf(keep("theme")) > 0 ? keep("theme") : "system";
  var paint = function () {
    if (theme === "system") { root.removeAttribute("data-theme"); } else { root.setAttribute("data-theme", theme); }
    button.textContent = language === "zh" ? chinese[theme] : "Theme: " + theme;
  };
  button.hidden = switched.hidden = false;
  button.addEventListener("click", function () {
    theme = order[(order.indexOf(theme) + 1) % order.length];
    keep("theme", theme);
    paint();
  });
  switched.addEventListener("click", function () {
    language = language === "zh" ? "en" : "zh";
    keep("lang", language);
    speak();
  });
  speak();

  // A text is asked about while it is edited; answers are drawn as text, never as markup.
  var form = document.querySelector("form.editor");
  if (!form || !window.fetch) { return; }
  var fields = Array.prototype.slice.call(form.querySelectorAll("textarea"));
  var asked = 0;
  var timer = 0;
  var draw = function (said) {
    at("live").hidden = !said;
    if (!said) { return; }
    at("live-decision").textContent = said.decision || "–";
    at("live-score").textContent = said.score;
    at("live-change").textContent = said.change === null ? "" : "(" + said.change + ")";
    at("live").classList.toggle("turned", said.turned);
    at("live-rely").textContent = said.reliability ? (language === "zh" ? "可靠性：" : "Reliability: ") + said.reliability : "";
    var heat = at("live-heat");
    heat.replaceChildren();
    said.words.forEach(function (w) {
      var word = document.createElement("i");
      if (w.shade) { word.className = w.shade; }
      word.textContent = w.text;
      if (w.shade) {
        var number = document.createElement("b");
        number.textContent = w.label;
        word.appendChild(number);
      }
      heat.append(word, " ");
    });
    at("live-said").textContent = (said.decision || "–") + " " + said.score + (said.change === null ? "" : " (" + said.change + ")");
  };
  var ask = function () {
    var mine = ++asked;
    fetch("/quick", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        parts: fields.map(function (f) { return f.value; }),
        origin: form.querySelector("[name=origin]").value,
        method: form.querySelector("[name=method]").value
      })
    }).then(function (r) { return r.ok ? r.json() : null; }).then(function (said) {
      // An answer that a later one has overtaken is not drawn.
      if (mine === asked) { draw(said); }
    }).catch(function () { if (mine === asked) { draw(null); } });
  };
  fields.forEach(function (f) {
    f.addEventListener("input", function () { clearTimeout(timer); timer = setTimeout(ask, 250); });
    f.addEventListener("keydown", function (e) {
      if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) { form.requestSubmit(); }
    });
  });
})();
