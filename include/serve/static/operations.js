/* The operations page: what nights did, as figures of the ledger; and what an operator may start, by Airflow's own API. */

import { ask, figure } from "./api.js";
import { none } from "./drawings.js";
import { causes, publications, quarantined, restated, runs, sources, stages, unusual } from "./nights.js";
import { all, fill, panel } from "./panels.js";
import { held } from "./quarantine.js";
import { behind, trouble } from "./show.js";

const at = (id) => document.getElementById(id);
const ROWS = 100; // restated figures and publications that are asked for

const PANELS = [
  { title: "Latest runs", wide: true, load: () => ask("runs"), draw: runs },
  { title: "Seconds per stage", figure: "stage_seconds", range: true, draw: stages },
  { title: "Rows put in quarantine, by rule", figure: "newly_quarantined", range: true, draw: quarantined },
  { title: "Rows read per source", figure: "source_rows", range: true, wide: true, draw: sources },
  { title: "In quarantine now", figure: "in_quarantine", wide: true, draw: held },
  { title: "Unusual days", figure: "anomalies", range: true, limit: ROWS, wide: true, draw: unusual },
  { title: "What changed of the past", figure: "restatements", range: true, draw: restated },
  { title: "Publications", figure: "publications", range: true, limit: ROWS, wide: true, draw: publications },
  {
    title: "What changed last, and why",
    figure: "restated_figures",
    range: true,
    limit: ROWS,
    wide: true,
    draw: causes,
  },
];

let last = null; // the last night
let drawing = 0; // of which choice of nights: what comes late from one before is dropped

async function show() {
  const mine = ++drawing;
  at("choices").hidden = false;
  const since = last && new Date(Date.parse(`${last}T00:00:00Z`) - (Number(at("days").value) - 1) * 86_400_000);
  const from = since && since.toISOString().slice(0, 10);
  const places = PANELS.map((one) => [one, panel(one.title, one.wide)]);
  at("charts").replaceChildren(...places.map(([, place]) => place));
  at("charts").setAttribute("aria-busy", "false");
  const load = (one) => one.load ?? (() => figure(one.figure, { from: one.range ? from : null, limit: one.limit }));
  const draw = (one) => (body, found) => (!found.rows || found.rows.length ? one.draw(body, found) : none(body));
  const foot = (found) => (found.sql ? behind(found) : null);
  await all(
    places.map(
      ([one, place]) =>
        () =>
          fill(place, load(one), draw(one), foot),
    ),
    () => mine === drawing,
  );
}

async function start() {
  try {
    const nights = (await ask("runs")).runs.map((run) => run.night);
    last = nights.sort().at(-1) ?? null;
    await show();
  } catch (problem) {
    at("charts").replaceChildren(trouble(problem, start));
    at("charts").setAttribute("aria-busy", "false");
  }
}

at("days").onchange = show;
start();
