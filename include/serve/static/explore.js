/* The list of tables: finding one, and the lineage; the pages of sources and of the shop's tables have the latter. */

import { drawLineage } from "./lineage.js";
import { whole } from "./show.js";

const form = document.getElementById("search");
if (form) {
  const sought = document.getElementById("sought");
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  sought.addEventListener("input", () => {
    const words = sought.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const row of document.querySelectorAll("[data-words]")) {
      const all = `${row.dataset.words} ${row.textContent}`.toLowerCase();
      row.hidden = !words.every((word) => all.includes(word));
      found += Number(!row.hidden);
    }
    document.getElementById("found").textContent = words.length ? `${whole(found)} found` : "";
  });
}
drawLineage(document.getElementById("picture"));
