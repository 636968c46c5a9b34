/* What is in quarantine: by rule, with the rows for those who may see them, and checking it again. */

import { ask } from "./api.js";
import { pageOf } from "./lineage.js";
import { link } from "./links.js";
import { element, marked, money, moment, plain, shortTable, whole } from "./show.js";
import { operates, started } from "./starting.js";

export function held(place, { rows }) {
  const rules = [...Map.groupBy(rows, (row) => JSON.stringify([row.source, row.rule])).values()].map(together);
  const columns = [
    { title: "Source", of: (row) => link(row.source, pageOf(`source.${row.source}`)) },
    { title: "Rule", of: (row) => element("code", {}, row.rule) },
    { title: "Meaning", text: true, of: (row) => element("span", {}, ...marked(row.meaning ?? "")) },
    { title: "Rows", number: true, of: (row) => whole(row.rows) },
    { title: "Money", number: true, of: (row) => row.amounts.join(", ") || "–" },
    { title: "Since", narrow: true, of: (row) => moment(row.oldest_at) },
    { title: "", of: (row) => rowsButton(row, place) },
  ];
  place.append(shortTable(columns, rules));
  if (!operates) return;
  const replay = element("button", { type: "button" }, "Replay the quarantine …");
  const said = element("span", { role: "status" });
  replay.onclick = () =>
    started(said, "replay", () => ({}), {
      question: "Check the quarantine again?",
      consequence:
        "Every row in quarantine is checked by the rules as they are now, without reading the shop. Rows that pass are " +
        "accepted, and what changes is published. The DAG replay says what else it does.",
      yes: "Replay",
    });
  place.append(element("p", {}, replay, " ", said));
}

/** A rule in one row: rows are counted over all currencies, amounts never added up. */
function together(currencies) {
  const amounts = currencies
    .filter((one) => Number(one.amount) && one.currency)
    .map((one) => money(one.amount, one.currency));
  const rows = currencies.reduce((sum, one) => sum + one.rows, 0);
  const [oldest_at] = currencies.map((one) => one.oldest_at).sort();
  return { ...currencies[0], rows, amounts, oldest_at };
}

/** A button that shows the rows that break a rule, to those who may see them. */
function rowsButton(row, place) {
  const button = element(
    "button",
    { type: "button", "aria-label": `Rows of ${row.source} that break ${row.rule}` },
    "Rows",
  );
  button.onclick = async () => {
    place.querySelector(".held")?.remove();
    const shown = element("div", { class: "held", tabindex: "-1" }, element("h3", {}, `${row.source}: ${row.rule}`));
    place.append(shown);
    try {
      await heldRows(shown, row, 0);
    } catch (problem) {
      const said = problem.status === 403 ? "Rows hold personal data: only operators see them." : problem.message;
      shown.append(element("p", { class: "bad" }, said));
    }
    shown.focus();
  };
  return button;
}

async function heldRows(shown, row, after) {
  const found = await ask("quarantine", { source: row.source, rule: row.rule, after, limit: 20 });
  for (const one of found.rows) {
    const values = Object.entries(one.row_values).map(([name, value]) =>
      element("div", {}, element("dt", {}, name), element("dd", { class: "key" }, plain(value))),
    );
    const rules = one.rules.map((rule) => element("span", { class: "tag attention" }, rule));
    const since = element("span", { class: "soft" }, ` since ${moment(one.quarantined_at)}`);
    const head = [element("strong", { class: "key" }, one.row_key), " ", ...rules, since];
    shown.append(element("div", { class: "row" }, ...head, element("dl", { class: "values" }, ...values)));
  }
  if (found.next == null) return;
  const more = element("button", { type: "button" }, "More rows");
  more.onclick = () => {
    more.remove();
    heldRows(shown, row, found.next).catch((problem) => shown.append(element("p", { class: "bad" }, problem.message)));
  };
  shown.append(more);
}
