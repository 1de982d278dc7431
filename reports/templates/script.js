"use strict";
(function () {
  var root = document.documentElement;
  var all = function (selector, within) {
    return Array.prototype.slice.call((within || document).querySelectorAll(selector));
  };
  var byId = function (id) { return document.getElementById(id); };
  var read = function (id) {
    try { return JSON.parse(byId(id).textContent); } catch (e) { return {}; }
  };
  var said = read("words");
  var words = said.words || {};
  var rest = read("rest");
  var LANGUAGES = { en: "en", zh: "zh-CN" };

  // What a page opened from a file may have no room for is kept for this visit only.
  var kept = {};
  var keep = function (name, value) {
    try {
      if (value === undefined) { return localStorage.getItem("evenhand-" + name); }
      localStorage.setItem("evenhand-" + name, value);
    } catch (e) { /* Some browsers refuse. */ }
    if (value !== undefined) { kept[name] = value; }
    return kept[name] || null;
  };
  var tell = function (text) { byId("live").textContent = text; };

  // Making elements. Texts of others come in by textContent alone.
  var make = function (tag, className, content) {
    var e = document.createElement(tag);
    if (className) { e.className = className; }
    add(e, content);
    return e;
  };
  var add = function (e, content) {
    if (content === undefined || content === null) { return e; }
    if (Array.isArray(content)) { content.forEach(function (c) { add(e, c); }); return e; }
    e.appendChild(typeof content === "object" ? content : document.createTextNode(String(content)));
    return e;
  };
  var drawn = function (tag, attributes, content) {
    var e = document.createElementNS("http://www.w3.org/2000/svg", tag);
    Object.keys(attributes).forEach(function (k) { e.setAttribute(k, attributes[k]); });
    return add(e, content);
  };
  var fill = function (text, args) {
    return text.replace(/\{(\w+)\}/g, function (whole, name) {
      return args && args[name] !== undefined ? String(args[name]) : whole;
    });
  };
  var word = function (key, args) { return fill((words[language] || words.en)[key], args); };
  var inBoth = function (english, chinese) {
    if (english === chinese) { return document.createTextNode(english); }
    var z = make("span", "z", chinese);
    z.setAttribute("lang", LANGUAGES.zh);
    return [make("span", "e", english), z];
  };
  var both = function (key, args) { return inBoth(fill(words.en[key], args), fill(words.zh[key], args)); };
  var grouped = function (n) { return String(n).replace(/\B(?=(\d{3})+$)/g, ","); };

  // A text is a string, or strings and the code points of what does not show itself.
  var escaped = function (n) { return "\u27e8U+" + n.toString(16).toUpperCase().padStart(4, "0") + "\u27e9"; };
  var text = function (parts) {
    return (Array.isArray(parts) ? parts : [parts]).map(function (p) {
      return typeof p === "number" ? make("span", "cp", escaped(p)) : document.createTextNode(p);
    });
  };
  var plain = function (parts) {
    return (Array.isArray(parts) ? parts : [parts]).map(function (p) {
      return typeof p === "number" ? escaped(p) : p;
    }).join("");
  };
  var quoted = function (parts, tongue) {
    var e = make("bdi", "", text(parts));
    e.setAttribute("dir", "auto");
    if (tongue) { e.setAttribute("lang", tongue); }
    return e;
  };
  var sentence = function (place) {
    var s = rest.sentences[place];
    if (s[1] === null) { var e = make("span", "say", text(s[0])); e.setAttribute("lang", "en"); return e; }
    return inBoth(plain(s[0]), s[1]);
  };

  // Stacked cells keep being a table for those who cannot see it.
  var roles = function (table) {
    table.setAttribute("role", "table");
    all("thead,tbody", table).forEach(function (e) { e.setAttribute("role", "rowgroup"); });
    all("tr", table).forEach(rowRoles);
  };
  var rowRoles = function (row) {
    row.setAttribute("role", "row");
    all("td", row).forEach(function (e) { e.setAttribute("role", "cell"); });
    all("th", row).forEach(function (e) {
      e.setAttribute("role", e.getAttribute("scope") === "col" ? "columnheader" : "rowheader");
    });
  };
  all("table.stack").forEach(roles);

  // Language. The words of both stand in the page; attributes and titles are exchanged here.
  var language = "en";
  var exchange = function () {
    [["data-z", null], ["data-za", "aria-label"], ["data-zl", "title"]].forEach(function (pair) {
      all("[" + pair[0] + "]").forEach(function (e) {
        if (e.getAttribute("data-e") === null) {
          e.setAttribute("data-e", pair[1] ? e.getAttribute(pair[1]) : e.textContent);
        }
        var now = language === "zh" ? e.getAttribute(pair[0]) : e.getAttribute("data-e");
        if (pair[1]) { e.setAttribute(pair[1], now); } else { e.textContent = now; }
      });
    });
  };
  var speak = function (chosen) {
    language = LANGUAGES[chosen] ? chosen : "en";
    root.setAttribute("lang", LANGUAGES[language]);
    root.setAttribute("data-l", language);
    var other = byId("language");
    other.textContent = language === "en" ? "\u4e2d\u6587" : "English";
    other.setAttribute("lang", language === "en" ? LANGUAGES.zh : "en");
    exchange();
    paint();
    look();
    count();
    all("button.more-rows").forEach(label);
    all("button.copy").forEach(function (b) { b.textContent = word("copy"); });
  };
  byId("language").addEventListener("click", function () {
    keep("language", language === "en" ? "zh" : "en");
    speak(language === "en" ? "zh" : "en");
    tell(word("spoken"));
  });

  // Theme.
  var order = ["system", "light", "dark"];
  var theme = order.indexOf(keep("theme")) > 0 ? keep("theme") : "system";
  var paint = function () {
    if (theme === "system") { root.removeAttribute("data-theme"); } else { root.setAttribute("data-theme", theme); }
    byId("theme").textContent = word("theme_" + theme);
  };
  byId("theme").addEventListener("click", function () {
    theme = order[(order.indexOf(theme) + 1) % order.length];
    keep("theme", theme);
    paint();
  });

  // Two views of one page.
  var brief = false;
  var look = function () {
    root.toggleAttribute("data-brief", brief);
    byId("view").setAttribute("aria-pressed", String(brief));
  };
  var turn = function (to, quiet) {
    if (brief === to) { return; }
    brief = to;
    look();
    if (!quiet) { tell(word(brief ? "summary" : "full")); }
  };
  byId("view").addEventListener("click", function () { turn(!brief); });
  byId("switches").hidden = false;

  // Measurements: those in the page, and those that are drawn when asked for.
  var tools = byId("tools");
  var cap = 200;
  var entries = [];
  var bodies = {};
  all("table.measures tbody").forEach(function (body) {
    var key = body.getAttribute("data-b");
    var probe = body.closest("section.probe");
    var head = probe.querySelector("h3").textContent + " " + body.querySelector("tr.metric").textContent;
    bodies[key] = body;
    all("tr[data-s]", body).forEach(function (row) {
      entries.push({ row: row, body: body, head: head, place: entries.length });
    });
    var later = rest.blocks && rest.blocks[key];
    (later ? later.rows : []).forEach(function (data) {
      entries.push({ row: null, body: body, head: head, data: data, block: later, place: entries.length });
    });
  });
  var value = function (shown) { return parseFloat(String(shown).replace(/,/g, "").replace("\u2212", "-")); };
  var numbers = function (entry) {
    if (entry.numbers) { return entry.numbers; }
    var n = { value: NaN, wide: NaN, n: 0 };
    if (entry.data) {
      if (typeof entry.data[2] === "string") {
        n = { value: value(entry.data[2]), wide: value(entry.data[4]) - value(entry.data[3]), n: entry.data[8] };
      }
    } else {
      var shown = all("td data", entry.row).map(function (d) { return parseFloat(d.getAttribute("value")); });
      if (!entry.row.querySelector("td.none")) { n = { value: shown[0], wide: shown[2] - shown[1], n: shown[3] }; }
    }
    entry.numbers = n;
    return n;
  };
  var wording = function (entry) {
    if (entry.text === undefined) {
      var own = entry.row ? entry.row.textContent
        : entry.block.keys.map(function (k, i) { return plain(k) + " " + (entry.data[1][i] === null ? "" : plain(entry.data[1][i])); }).join(" ");
      entry.text = (entry.head + " " + own).toLowerCase();
    }
    return entry.text;
  };
  var status = function (entry) {
    if (entry.row) { return entry.row.getAttribute("data-s"); }
    var estimated = typeof entry.data[2] === "string";
    var claims = entry.data[estimated ? 14 : 5];
    return claims ? claims[0][0] : estimated ? "exploratory" : "absent";
  };
  var comparing = {
    high: function (a, b) { return numbers(b).value - numbers(a).value; },
    low: function (a, b) { return numbers(a).value - numbers(b).value; },
    wide: function (a, b) { return numbers(b).wide - numbers(a).wide; },
    few: function (a, b) { return numbers(a).n - numbers(b).n; }
  };
  var ordered = function (list, by) {
    var compare = comparing[by];
    return list.slice().sort(function (a, b) {
      if (!compare) { return a.place - b.place; }
      var d = compare(a, b);
      if (d === d && d !== 0) { return d; }
      var lost = (numbers(a).value !== numbers(a).value) - (numbers(b).value !== numbers(b).value);
      return lost || a.place - b.place;
    });
  };
  var cell = function (className, key, content) {
    var e = make("td", className, content);
    if (key) { e.setAttribute("data-h", words.en[key] || key); e.setAttribute("data-zh", words.zh[key] || key); }
    return e;
  };
  var chart = function (x, low, high, none, label, marks) {
    var svg = drawn("svg", { "class": "iv", viewBox: "0 0 240 22", "aria-hidden": "true" });
    var title = drawn("title", { "data-z": label[1] }, language === "zh" ? label[1] : label[0]);
    title.setAttribute("data-e", label[0]);
    svg.appendChild(title);
    (marks || []).forEach(function (m) {
      svg.appendChild(drawn("rect", { "class": "beyond", x: m[1], y: 0, width: m[2], height: 22 }));
      svg.appendChild(drawn("path", { "class": "lim", d: "M" + m[0] + " 0V22" }));
    });
    if (none !== null && none !== undefined) { svg.appendChild(drawn("path", { "class": "nil", d: "M" + none + " 0V22" })); }
    svg.appendChild(drawn("path", { "class": "ci", d: "M" + low + " 11H" + high + "M" + low + " 7v8M" + high + " 7v8" }));
    svg.appendChild(drawn("circle", { "class": "dot", cx: x, cy: 11, r: 3.8 }));
    return svg;
  };
  var reads = function (packed) {
    if (!packed) { return null; }
    var inner = packed[2];
    var args = Object.assign({}, packed[1]);
    var two = ["en", "zh"].map(function (l) {
      if (inner) { args.reading = fill(words[l].readings[inner[0]], inner[1]); }
      return fill(words[l].readings[packed[0]], args);
    });
    return inBoth(two[0], two[1]);
  };
  var leftOut = function (count, skips) {
    return cell("n left", "left_out", [grouped(count)].concat(skips.map(function (s) {
      return make("span", "sub", [grouped(s[0]), " ", sentence(s[1])]);
    })));
  };
  var judged = function (claims) {
    return (claims || []).map(function (c) {
      var icon = drawn("svg", { "class": "ic", viewBox: "0 0 16 16", "aria-hidden": "true" }, drawn("use", { href: "#i-" + c[0] }));
      return make("span", "verdict", [make("span", "badge s-" + c[0], [icon, both(c[0])]), " ", c[1], " "]);
    });
  };
  var drawRow = function (entry) {
    var d = entry.data;
    var row = make("tr");
    var estimated = typeof d[2] === "string";
    row.id = entry.block.id + d[0];
    row.setAttribute("data-s", status(entry));
    var head = make("th");
    head.setAttribute("scope", "row");
    var link = make("a", "perma");
    link.setAttribute("href", "#" + row.id);
    entry.block.keys.forEach(function (k, i) {
      if (d[1][i] === null) { return; }
      add(link, [make("span", "kv", [make("span", "k", quoted(k)), " ", make("span", "v", d[1][i] === "" ? both("empty") : quoted(d[1][i]))]), " "]);
    });
    if (!link.firstChild) { add(link, make("span", "all", both("all_texts"))); }
    head.appendChild(link);
    row.appendChild(head);
    if (estimated) {
      var ends = { value: d[2], low: d[3], high: d[4] };
      add(row, [
        cell("n", "value", make("b", "", d[2])),
        cell("n", "interval", make("span", "span", [d[3], " ", both("to"), " ", d[4]])),
        make("td", "draw", chart(d[5], d[6], d[7], entry.block.none, [fill(words.en.plot, ends), fill(words.zh.plot, ends)], d[15])),
        cell("n", "n", [grouped(d[8]), d[9] === null ? null : make("span", "sub", both("effective", { n: grouped(d[9]) }))]),
        leftOut(d[10], d[11]),
        cell("n", "MDE", d[12] || "\u2013"),
        make("td", "why", [judged(d[14]), reads(d[13]) || (d[14] ? null : make("span", "sub", both("exploratory")))])
      ]);
    } else {
      var none = cell("none", "value", [both("no_estimate"), " ", make("span", "why", sentence(d[2][0])), " ", make("code", "code", quoted(d[2][1]))]);
      none.setAttribute("colspan", "3");
      add(row, [none, cell("n", "n", "0"), leftOut(d[3], d[4]), cell("n", "MDE", "\u2013"), make("td", "why", judged(d[5]))]);
    }
    rowRoles(row);
    entry.row = row;
    entry.body.appendChild(row);
    return row;
  };
  var hits = 0;
  var count = function () {
    if (!tools) { return; }
    var visible = entries.filter(function (e) { return e.row && !e.row.hidden; }).length;
    byId("shown").textContent = visible < hits
      ? word("shown_capped", { shown: grouped(hits), all: grouped(entries.length), drawn: grouped(visible) })
      : word("shown", { shown: grouped(hits), all: grouped(entries.length) });
  };
  var probeOf = function (entry) { return entry.body.closest("section.probe").querySelector("button.more-rows"); };
  var sieve = function () {
    var query = byId("q").value.toLowerCase().split(/\s+/).filter(Boolean);
    var only = byId("only").value;
    var by = byId("order").value;
    var asking = query.length > 0 || only !== "" || by !== "plan";
    var room = cap;
    var fits = entries.filter(function (e) {
      return (!only || status(e) === only) && query.every(function (w) { return wording(e).indexOf(w) >= 0; });
    });
    var isIn = {};
    hits = fits.length;
    ordered(fits, by).forEach(function (e) {
      var later = Boolean(e.data);
      if (later && !e.asked) {
        if (!asking || room === 0) { return; }
        room -= 1;
      }
      isIn[e.place] = true;
      if (!e.row) { drawRow(e); }
    });
    var now = entries.filter(function (e) { return e.row; });
    now.forEach(function (e) { e.row.hidden = !isIn[e.place]; });
    if (by !== sieve.by || asking) {
      ordered(now, by).forEach(function (e) { e.body.appendChild(e.row); });
      sieve.by = by;
    }
    Object.keys(bodies).forEach(function (key) {
      bodies[key].hidden = !bodies[key].querySelector("tr[data-s]:not([hidden])");
    });
    all("section.probe").forEach(function (probe) {
      probe.classList.toggle("filtered", asking && !probe.querySelector("tr[data-s]:not([hidden])"));
    });
    count();
  };
  sieve.by = "plan";
  var label = function (button) {
    var waiting = entries.filter(function (e) { return e.data && !e.asked && probeOf(e) === button; }).length;
    button.hidden = waiting === 0;
    button.textContent = word("draw", { n: grouped(Math.min(cap, waiting)) });
    var note = button.parentNode.querySelector(".sub");
    if (note) { note.hidden = waiting === 0; }
  };
  all("button.more-rows").forEach(function (button) {
    button.addEventListener("click", function () {
      entries.filter(function (e) { return e.data && !e.asked && probeOf(e) === button; }).slice(0, cap)
        .forEach(function (e) { e.asked = true; });
      sieve();
      label(button);
    });
  });
  if (tools) {
    var timer = 0;
    byId("q").addEventListener("input", function () { clearTimeout(timer); timer = setTimeout(sieve, 120); });
    byId("only").addEventListener("change", sieve);
    byId("order").addEventListener("change", sieve);
    tools.hidden = false;
    hits = entries.length;
    Object.keys(bodies).forEach(function (key) { bodies[key].hidden = !bodies[key].querySelector("tr[data-s]"); });
  }

  // Cases: drawn when their list is opened, with a command that runs one of them again.
  var side = function (segments, tag, tongue) {
    var e = make("bdi");
    e.setAttribute("dir", "auto");
    if (tongue) { e.setAttribute("lang", tongue); }
    segments.forEach(function (s) {
      if (typeof s === "object" && !Array.isArray(s)) {
        if (s.f) { add(e, make("span", "fold", [" \u2026 ", both(s.c ? "more" : "unchanged", { n: grouped(s.f) }), " \u2026 "])); return; }
        add(e, make(tag, "", text(s.t)));
        return;
      }
      add(e, text(s));
    });
    return e;
  };
  var heat = function (heated, tongue, before) {
    var p = make("p", "heat");
    if (tongue) { p.setAttribute("lang", tongue); }
    var own = heated[0] === 0 ? before.split(/\s+/).filter(Boolean) : heated[0];
    own.forEach(function (w, i) {
      var shade = heated[1][i] === 0 ? null : heated[1][i].split(",");
      add(p, [make("i", shade ? shade[1] : "", [text(w), shade ? make("b", "", shade[0]) : null]), " "]);
    });
    return p;
  };
  var rely = function (place, side) {
    var p = make("p", "sub rely", both("reliability"));
    if (side) { add(p, [" (", both(side), ")"]); }
    add(p, [": ", place === null ? both("not_measured") : sentence(place)]);
    if (place !== null) { p.classList.add("rely-" + plain(rest.sentences[place][0]).split(":")[0]); }
    return p;
  };
  var aligned = function (packed, name) {
    var head = function (key, n) {
      var th = make("th", n ? "n" : "", both(key));
      th.setAttribute("scope", "col");
      return th;
    };
    var weighed = function (label) {
      var two = label.split(",");
      return make("td", "n" + (two[1] ? " " + two[1] : ""), two[0]);
    };
    var table = make("table", "aligned", [
      make("thead", "", make("tr", "", [head("before"), head("weight", 1), head("after"), head("weight", 1), head("gap", 1)])),
      make("tbody", "", packed[1].map(function (r) {
        var row = make("tr", r[3] ? "changed" : "");
        [0, 1].forEach(function (i) {
          if (r[i] === 0) { add(row, [make("td", "none", both("no_word")), make("td", "n", "\u2013")]); return; }
          var two = r[i][1].split(",");
          var said = make("bdi", "", r[3] ? make(i ? "ins" : "del", "", text(r[i][0])) : text(r[i][0]));
          said.setAttribute("dir", "auto");
          add(row, [make("td", "w" + (two[1] ? " " + two[1] : ""), said), make("td", "n", two[0])]);
        });
        return add(row, weighed(r[2]));
      }))
    ]);
    var box = make("div", "scroll", table);
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", name);
    box.tabIndex = 0;
    return packed[0] ? [box, make("p", "sub", [both("alike"), " ", grouped(packed[0])])] : [box];
  };
  var drawCase = function (d) {
    var li = make("li", "case");
    li.id = d[0];
    var link = make("a", "perma", make("code", "", quoted(d[1])));
    link.setAttribute("href", "#" + d[0]);
    var head = make("p", "head", link);
    if (d[2]) { add(head, [" ", make("span", "flip", both("flipped"))]); }
    var scores = make("span", "scores", [both("score"), " ", make("data", "", d[3])]);
    add(head, [" ", scores]);
    if (d[9]) {
      add(scores, [" ", make("span", "to", "\u2192"), " ", make("data", "", d[4]), " ", make("span", "delta", "(" + d[5] + ")")]);
      var svg = drawn("svg", { "class": "sc", viewBox: "0 0 160 14", "aria-hidden": "true" });
      if (rest.threshold !== null) { svg.appendChild(drawn("path", { "class": "lim", d: "M" + rest.threshold + " 0V14" })); }
      svg.appendChild(drawn("path", { "class": "ci", d: "M" + d[6] + " 7H" + d[7] }));
      svg.appendChild(drawn("circle", { "class": "wasdot", cx: d[6], cy: 7, r: 3.4 }));
      svg.appendChild(drawn("circle", { "class": "dot", cx: d[7], cy: 7, r: 3.8 }));
      head.appendChild(svg);
    }
    li.appendChild(head);
    if (d[9]) {
      add(li, make("dl", "pair", [
        make("dt", "", both("before")), make("dd", "", side(d[8], "del", d[10])),
        make("dt", "", both("after")), make("dd", "", side(d[9], "ins", d[11]))
      ]));
    } else if (!d[12].length) { add(li, make("p", "text", side(d[8], "span", d[10]))); }
    var sides = d[16] ? ["before", "after"] : d[12].length ? [""] : [];
    if (d[16]) { sides.forEach(function (s, i) { add(li, rely(d[14 + i], s)); }); add(li, aligned(d[16], plain(d[1]))); }
    if (d[12].length && !d[16]) { add(li, heat(d[12], d[10], d[8].map(function (s) { return s.t === undefined ? s : s.t; }).join(""))); add(li, rely(d[14], "")); }
    if (d[13] !== null) { add(li, make("p", "note", sentence(d[13]))); }
    return li;
  };
  var bare = function (node) {
    var found = "";
    node.childNodes.forEach(function (child) {
      var code = child.nodeType === 1 && child.classList.contains("cp") ? /^\u27e8U\+([0-9A-F]+)\u27e9$/.exec(child.textContent) : null;
      found += code ? String.fromCodePoint(parseInt(code[1], 16)) : child.nodeType === 3 ? child.data : bare(child);
    });
    return found;
  };
  // A word of a shell: no character of a text can end it or reach the terminal by itself.
  var shell = function (raw) {
    if (/^[\x20-\x7e\u00a1-\u024f\u4e00-\u9fff\u3000-\u303f\uff01-\uff5e]*$/.test(raw)) { return "'" + raw.replace(/'/g, "'\\''") + "'"; }
    return "$'" + Array.from(raw).map(function (c) {
      var n = c.codePointAt(0);
      if (c === "\\" || c === "'") { return "\\" + c; }
      return n >= 0x20 && n < 0x7f ? c : "\\U" + n.toString(16).padStart(8, "0");
    }).join("") + "'";
  };
  var command = function (li) {
    var sides = all("dl.pair dd > bdi, p.text > bdi", li);
    if (!sides.length || li.querySelector(".fold")) { return ""; }
    return "evenhand explain audit.toml " + sides.map(function (s) { return shell(bare(s)); }).join(" ");
  };
  var offer = function (li) {
    if (li.querySelector("button.copy") || !command(li)) { return; }
    var button = make("button", "copy", word("copy"));
    button.type = "button";
    button.addEventListener("click", function () {
      var line = command(li);
      var shown = li.querySelector("code.line");
      if (!shown) { shown = make("code", "line"); shown.tabIndex = 0; li.appendChild(shown); }
      shown.textContent = line;
      var done = function () { tell(word("copied", { what: line })); };
      var not = function () { tell(word("not_copied")); };
      if (navigator.clipboard) { navigator.clipboard.writeText(line).then(done, not); } else { not(); }
    });
    li.querySelector(".head").appendChild(button);
  };
  var open = function (book) {
    var later = rest.cases && rest.cases[book.getAttribute("data-m")];
    if (later && !book.drawn) {
      var list = book.querySelector("ol") || book.appendChild(make("ol"));
      later.forEach(function (d) { list.appendChild(drawCase(d)); });
      all("p.rest", book).forEach(function (p) { p.hidden = true; });
    }
    book.drawn = true;
    all("li.case", book).forEach(offer);
  };
  all("details.cases").forEach(function (book) {
    book.addEventListener("toggle", function () { if (book.open) { open(book); } });
  });

  // A permalink draws and opens what it points into.
  var find = function (id) {
    var there = byId(id);
    if (there) { return there; }
    var entry = entries.filter(function (e) { return e.data && e.block.id + e.data[0] === id; })[0];
    if (entry) { entry.asked = true; sieve(); all("button.more-rows").forEach(label); return byId(id); }
    var key = Object.keys(rest.cases || {}).filter(function (k) {
      return rest.cases[k].some(function (d) { return d[0] === id; });
    })[0];
    if (key) { open(all("details.cases").filter(function (b) { return b.getAttribute("data-m") === key; })[0]); }
    return byId(id);
  };
  var reveal = function () {
    var id = "";
    try { id = decodeURIComponent(location.hash.slice(1)); } catch (e) { return; }
    var target = id && find(id);
    if (!target) { return; }
    if (brief && target.closest(".full")) { turn(false, true); }
    if (tools && (target.hidden || target.closest("[hidden]"))) {
      byId("q").value = "";
      byId("only").value = "";
      sieve();
    }
    for (var e = target; e; e = e.parentElement) {
      if (e.tagName === "DETAILS") { e.open = true; }
    }
    target.scrollIntoView();
  };
  window.addEventListener("hashchange", reveal);

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
    var watcher = new IntersectionObserver(function (seen) {
      seen.forEach(function (entry) {
        if (!entry.isIntersecting) { return; }
        Object.keys(links).forEach(function (id) {
          if (id === entry.target.id) { links[id].setAttribute("aria-current", "true"); } else { links[id].removeAttribute("aria-current"); }
        });
      });
    }, { rootMargin: "-10% 0px -80% 0px" });
    Object.keys(links).forEach(function (id) {
      var section = byId(id);
      if (section) { watcher.observe(section); }
    });
  }
  speak(keep("language") || "en");
  reveal();
})();
