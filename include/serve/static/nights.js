/* How each figure of the ledger is drawn: a function takes the place and what the API answered. */

import { dagId, page } from "./api.js";
import { NIGHT, OF_NIGHT, fitting, none, numbers, words } from "./drawings.js";
import { pageOf } from "./lineage.js";
import { inAirflow, link, report } from "./links.js";
import { chart, element, moment, plain, shortTable, table, whole } from "./show.js";
import { operates, started } from "./starting.js";

const LATEST = 14; // runs in the list
const RULES = 5; // that have a colour of their own
const TABLES = 7; // the same; there are eight colours
const STRIP = 220; // pixels
const NAMED = 3; // rows of the shop that a changed figure names

const count = (title, name) => ({ title, number: true, of: (row) => whole(row[name]) });

/** The values of a field that have the most of something, the greatest first, each with its sum. */
function most(rows, field, counted, number) {
  const totals = new Map();
  for (const row of rows) totals.set(row[field], (totals.get(row[field]) ?? 0) + row[counted]);
  return [...totals].sort((one, other) => other[1] - one[1] || one[0].localeCompare(other[0])).slice(0, number);
}

export function runs(place, { runs: latest }) {
  if (!latest.length) return none(place);
  const verdict = (run) => element("span", { class: run.mood }, run.word);
  const took = (run) =>
    run.finished_at ? whole((Date.parse(run.finished_at) - Date.parse(run.started_at)) / 1000) : "–";
  const columns = [
    { title: "Night", of: (run) => report(run.night, run.run_id) },
    { title: "DAG", of: (run) => run.dag },
    { title: "Verdict", of: verdict },
    { title: "", text: true, of: (run) => run.verdict },
    { title: "Started", narrow: true, of: (run) => moment(run.started_at) },
    { title: "Seconds", number: true, of: took },
    count("In quarantine", "held"),
    { title: "", narrow: true, of: (run) => inAirflow(run.dag, run.run_id) },
  ];
  place.append(table(columns, latest.slice(0, LATEST)), element("p", {}, link("All runs", page("runs"))));
}

export function stages(place, { rows }) {
  const nights = new Set(rows.map((row) => row.night)).size;
  return chart(place, `Seconds per stage of ${nights} nights`, {
    data: { values: numbers(rows, "seconds") },
    mark: "bar",
    encoding: {
      x: NIGHT,
      y: { field: "seconds", type: "quantitative", title: "seconds" },
      color: {
        field: "stage",
        type: "nominal",
        title: null,
        legend: { columns: fitting(place, 4) },
        sort: [...new Set(rows.map((row) => row.stage))],
      },
      tooltip: [OF_NIGHT, { field: "stage" }, { field: "seconds", format: ".1f" }, { field: "tasks" }],
    },
  });
}

export function quarantined(place, { rows }) {
  const first = most(rows, "rule", "rows", RULES);
  const names = new Set(first.map(([rule]) => rule));
  const values = rows.map((row) => ({ ...row, label: names.has(row.rule) ? words(row.rule) : "other rules" }));
  return chart(
    place,
    `Rows put in quarantine: ${first.map(([rule, total]) => `${words(rule)} ${whole(total)}`).join(", ")}`,
    {
      data: { values },
      mark: "bar",
      encoding: {
        x: NIGHT,
        y: { field: "rows", type: "quantitative", title: "rows" },
        color: {
          field: "label",
          type: "nominal",
          title: null,
          legend: { columns: fitting(place, 2), labelLimit: 220 },
        },
        tooltip: [OF_NIGHT, { field: "source" }, { field: "rule" }, { field: "rows" }],
      },
    },
  );
}

/** Each source in a row: its latest night, and how many rows were read in each. */
export async function sources(place, { rows }) {
  const bySource = Map.groupBy(rows, (row) => row.source);
  const strips = [];
  const columns = [
    { title: "Source", of: ([source]) => link(source, pageOf(`source.${source}`)) },
    { title: "Night", narrow: true, of: ([, nights]) => nights.at(-1).night },
    { title: "Read", number: true, of: ([, nights]) => whole(nights.at(-1).extracted) },
    { title: "Accepted", number: true, of: ([, nights]) => whole(nights.at(-1).accepted) },
    { title: "Quarantined", number: true, of: ([, nights]) => whole(nights.at(-1).quarantined) },
    { title: "In the shop", number: true, of: ([, nights]) => whole(nights.at(-1).source_rows) },
    { title: "Read each night", of: strip },
  ];
  function strip([source, nights]) {
    const made = element("div", { class: "strip" });
    strips.push([made, source, nights]);
    return made;
  }
  place.append(table(columns, [...bySource]));
  for (const [made, source, nights] of strips)
    await chart(made, `Rows read of ${source} in ${nights.length} nights`, {
      width: STRIP, // its place grows with the others
      height: 32,
      padding: 0,
      view: { stroke: null },
      data: { values: nights },
      mark: "bar",
      encoding: {
        x: { ...NIGHT, axis: null },
        y: { field: "extracted", type: "quantitative", axis: null },
        tooltip: [OF_NIGHT, { field: "extracted" }],
      },
    });
}

export function restated(place, { rows }) {
  const total = rows.reduce((sum, row) => sum + row.figures, 0);
  const names = new Set(most(rows, "table_name", "figures", TABLES).map(([name]) => name));
  const values = rows.map((row) => ({ ...row, label: names.has(row.table_name) ? row.table_name : "other tables" }));
  return chart(place, `${whole(total)} figures of earlier days changed, by night and table`, {
    data: { values },
    mark: "bar",
    encoding: {
      x: NIGHT,
      y: { field: "figures", type: "quantitative", title: "figures" },
      color: { field: "label", type: "nominal", title: null, legend: { columns: fitting(place, 2), labelLimit: 220 } },
      tooltip: [OF_NIGHT, { field: "table_name" }, { field: "figures" }, { field: "first_day" }, { field: "last_day" }],
    },
  });
}

export function causes(place, { rows }) {
  const keys = (row) => Object.entries(row.row_key).map(([name, key]) => `${words(name)} ${plain(key)}`);
  const columns = [
    { title: "Night", narrow: true, of: (row) => report(row.night, row.run_id) },
    { title: "Table", of: (row) => link(row.table_name, pageOf(row.table_name)) },
    { title: "Day", narrow: true, of: (row) => row.day },
    { title: "Of", of: (row) => keys(row).join(", ") },
    { title: "Figure", of: (row) => element("code", {}, row.metric) },
    { title: "Was", number: true, of: (row) => plain(row.old_value) },
    { title: "Is", number: true, of: (row) => plain(row.new_value) },
    { title: "Because of", text: true, of: cause },
  ];
  place.append(shortTable(columns, rows));
}

/** The rows of the shop that changed a figure. */
function cause({ causes: found }) {
  if (found == null) return "no longer known";
  const said = Object.entries(found).map(([source, { keys, rows }]) => {
    const named = keys.slice(0, NAMED);
    const more = rows > named.length ? ` and ${whole(rows - named.length)} more` : "";
    return `${source} ${named.join(", ")}${more}`;
  });
  return said.join("; ") || "the table's definition changed";
}

export function unusual(place, { rows }) {
  const said = element("p", { role: "status" });
  const explain = (row) => {
    if (row.reason != null || !operates) return row.reason ?? "";
    const label = { type: "button", "aria-label": `Explain ${row.source}, ${row.measure}, of ${row.night}` };
    const button = element("button", label, "Explain …");
    button.onclick = () =>
      started(
        said,
        "explain_day",
        (reason) => ({ date: row.night, source: row.source, measure: row.measure, reason }),
        {
          question: `Why was ${row.measure} of ${row.source} so on ${row.night}?`,
          consequence:
            "The day then counts for no later one. For all of a day, or for good, trigger explain_day in Airflow.",
          yes: "Explain",
          asks: "Reason",
        },
      );
    return button;
  };
  const columns = [
    { title: "Night", narrow: true, of: (row) => report(row.night, row.run_id) },
    { title: "Source", of: (row) => link(row.source, pageOf(`source.${row.source}`)) },
    { title: "What", text: true, of: (row) => row.sentence },
    count("Rows", "rows_behind"),
    { title: "Explained", of: explain },
  ];
  place.append(shortTable(columns, rows), said);
}

export function publications(place, { rows }) {
  const said = element("p", { role: "status" });
  const back = (row) => {
    if (row.kind !== "night" || !operates) return "";
    const label = { type: "button", "aria-label": `Put back publication ${row.publication_id}` };
    const button = element("button", label, "Put back …");
    button.onclick = () =>
      started(said, "republish", () => ({ night: row.night, publication: row.publication_id }), {
        question: `Put back the night of ${row.night}?`,
        consequence:
          `Every reporting table becomes again what publication ${row.publication_id} left, up to ${row.horizon}, in one ` +
          `transaction. The next night brings them forward again: pause the DAG ${dagId("nightly")} if it is not to.`,
        yes: "Put back",
      });
    return button;
  };
  const columns = [
    { title: "", of: (row) => String(row.publication_id) },
    { title: "Night", narrow: true, of: (row) => report(row.night, row.run_id) },
    { title: "DAG", of: (row) => row.dag },
    { title: "Published", narrow: true, of: (row) => moment(row.published_at) },
    count("Tables", "tables"),
    count("Rows in", "inserted"),
    count("Rows out", "deleted"),
    { title: "", of: back },
  ];
  place.append(shortTable(columns, rows), said);
}
