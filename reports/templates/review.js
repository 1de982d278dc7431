"use strict";
(function () {
  var save = document.getElementById("save");
  var said = document.getElementById("said");
  var today = document.getElementById("date");
  save.hidden = false;
  today.value = new Date().toISOString().slice(0, 10);
  function cell(text) {
    var plain = String(text).replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, " ");
    if (/^[ '"]*[=+\-@\uff1d\uff0b\uff0d\uff20]/.test(plain)) { plain = "'" + plain; }
    return "\"" + plain.replace(/"/g, "\"\"") + "\"";
  }
  save.addEventListener("click", function () {
    var who = document.getElementById("reviewer").value.trim();
    if (!who) {
      said.textContent = save.dataset.nobody;
      document.getElementById("reviewer").focus();
      return;
    }
    var rows = [save.dataset.columns.split(" ")];
    document.querySelectorAll("[data-item]").forEach(function (item) {
      var answer = item.querySelector("[data-answer]").value.trim();
      if (answer) {
        rows.push([item.dataset.item, answer, who, today.value, item.querySelector("[data-comment]").value]);
      }
    });
    var text = rows.map(function (row) { return row.map(cell).join(","); }).join("\r\n") + "\r\n";
    var link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = "review.csv";
    link.click();
    said.textContent = save.dataset.saved + " " + (rows.length - 1);
  });
})();
