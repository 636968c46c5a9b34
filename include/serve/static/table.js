/* One table: its rows as a grid with filters, an order and columns, all of it in the page's address; and its download. */

import { Problem, ask, page, startExport } from "./api.js";
import { drawLineage } from "./lineage.js";
import { element, number, plain, trouble, whole } from "./show.js";

const at = (id) => document.getElementById(id);
const NUMBERS = /^(bigint|integer|smallint|numeric|double)/;
const FORMATS = { excel: { format: "csv", bom: true } };
const POLL_MS = 1000; // between two looks at an export
const DECIMALS = 4; // of a ratio
const COMPARED = ["=", "!=", "<", "<=", ">", ">="];

let table; // of the dictionary
let rows = [];
let next = null; // the cursor of the page after them
let asking = 0; // of which question: what comes late from one before is dropped

/** What is asked, as the address says it. */
const asked = () => new URLSearchParams(location.search);

/** Ask something else: a change of the address, to which one can go back. */
function change(edit) {
  const now = asked();
  edit(now);
  history.pushState(null, "", now.size ? `?${now}` : location.pathname);
  show();
}

/** The order: unless it is said, that of the key; what has a day or a night begins with the latest. */
function sort() {
  const first = table.columns.find((one) => one.name === table.key[0]);
  return asked().get("sort") ?? (first.type === "date" ? `-${first.name}` : null);
}

const parameters = () => ({
  columns: asked().get("columns"),
  sort: sort(),
  filter: asked().getAll("filter"),
});

async function start() {
  const place = at("grid");
  if (!place) return;
  try {
    table = await ask(`tables/${place.dataset.table}`);
  } catch (problem) {
    place.replaceChildren(trouble(problem, start));
    place.setAttribute("aria-busy", "false");
    return;
  }
  at("filter").hidden = at("download").hidden = false;
  at("column").onchange = operators;
  at("operator").onchange = () => {
    at("asked").hidden = at("operator").value.startsWith("is ");
  };
  at("filter").onsubmit = addFilter;
  at("more").onclick = more;
  at("download").onsubmit = download;
  operators();
  window.onpopstate = show;
  await show();
}

/** The operators that the chosen column has. */
function operators() {
  const column = table.columns.find((one) => one.name === at("column").value);
  const unordered = ["jsonb", "boolean"].includes(column.type);
  const compared = column.type === "jsonb" ? [] : unordered ? ["=", "!="] : [...COMPARED, "in"];
  const known = [...compared, ...(column.type === "text" ? ["like"] : []), "is null", "is not null"];
  at("operator").replaceChildren(...known.map((one) => element("option", {}, one)));
  at("operator").onchange();
}

function addFilter(event) {
  event.preventDefault();
  const [column, operator, value] = ["column", "operator", "value"].map((id) => at(id).value);
  const said = operator.startsWith("is ")
    ? `${column} ${operator}`
    : operator === "in"
      ? `${column} in (${value})`
      : operator === "like"
        ? `${column} like ${value}`
        : `${column}${operator}${value}`;
  at("value").value = "";
  change((now) => now.append("filter", said));
}

async function show() {
  const mine = ++asking;
  at("grid").setAttribute("aria-busy", "true");
  chips();
  columnChoice();
  const same = new URLSearchParams(asked());
  same.set("table", table.name);
  at("program").href = page(`read-it-from?${same}`).href;
  try {
    const found = await ask(`tables/${table.name}/rows`, parameters());
    if (mine !== asking) return;
    [rows, next] = [found.rows, found.next];
    draw();
  } catch (problem) {
    if (mine !== asking) return;
    at("grid").replaceChildren(trouble(problem, show));
    at("more").hidden = true;
    at("count").textContent = "";
  } finally {
    if (mine === asking) at("grid").setAttribute("aria-busy", "false");
  }
}

async function more() {
  const mine = asking;
  at("more").disabled = true;
  try {
    const found = await ask(`tables/${table.name}/rows`, { ...parameters(), cursor: next });
    if (mine !== asking) return;
    rows.push(...found.rows);
    next = found.next;
    draw();
  } catch (problem) {
    if (mine !== asking) return;
    // Published again since the first page: these rows and the next would be of two publications.
    if (problem.status === 410) await show();
    at("count").textContent =
      problem.status === 410 ? "The table was published again: this is its new first page." : problem.message;
  } finally {
    at("more").disabled = false;
  }
}

function chips() {
  const filters = asked().getAll("filter");
  const chip = (said, place) => {
    const button = element("button", { type: "button", "aria-label": `Remove the filter ${said}` }, `${said} ×`);
    button.onclick = () =>
      change((now) => {
        now.delete("filter");
        filters.filter((_, other) => other !== place).forEach((one) => now.append("filter", one));
      });
    return button;
  };
  at("chips").replaceChildren(...filters.map(chip));
}

/** A list in the address, as the API reads it: it may have been written by hand. */
const listed = (said) => [...new Set((said ?? "").split(",").map((name) => name.trim()))].filter(Boolean);

const chosen = () => {
  const names = listed(asked().get("columns"));
  return names.length ? names : table.columns.map((column) => column.name);
};

function columnChoice() {
  const names = new Set(chosen());
  const box = ({ name }) => {
    const input = element("input", { type: "checkbox" });
    input.checked = names.has(name);
    input.onchange = () => {
      if (input.checked) names.add(name);
      else names.delete(name);
      const wanted = table.columns.map((one) => one.name).filter((one) => names.has(one));
      if (wanted.length) change((now) => now.set("columns", wanted.join(",")));
      else input.checked = names.add(name).has(name); // a row has a column
    };
    return element("label", { title: name }, input, ` ${name}`);
  };
  at("chosen").textContent = `${whole(names.size)} of ${whole(table.columns.length)}`;
  const focused = [...at("columns").querySelectorAll("input")].indexOf(document.activeElement);
  at("columns").replaceChildren(...table.columns.map(box));
  if (focused >= 0) at("columns").querySelectorAll("input")[focused].focus();
}

function draw() {
  const columns = chosen().map((name) => table.columns.find((one) => one.name === name));
  const order = new Map(listed(sort()).map(ordered));
  const focused = document.activeElement?.closest("#grid thead th")?.dataset.column;
  const head = columns.map((column) => headOf(column, order.get(column.name)));
  const cells = (row) =>
    columns.map((column) => {
      const value = row[column.name];
      if (value == null) return element("td", { class: "soft" }, plain(value));
      const attributes = { class: NUMBERS.test(column.type) ? "n" : null, title: plain(value) };
      return element("td", attributes, written(value, column));
    });
  at("grid").replaceChildren(
    element(
      "div",
      { class: "wide", tabindex: "0", role: "region", "aria-label": "Rows" },
      element(
        "table",
        {},
        element("thead", {}, element("tr", {}, ...head)),
        element("tbody", {}, ...rows.map((row) => element("tr", {}, ...cells(row)))),
      ),
    ),
  );
  at("grid").querySelector(`th[data-column="${focused}"] button`)?.focus();
  at("more").hidden = next == null;
  const known = asked().has("filter") || table.rows == null ? "there are more" : `of ${whole(table.rows)}`;
  at("count").textContent = rows.length
    ? `${whole(rows.length)} rows shown, ${next == null ? "all there are" : known}`
    : "No row matches.";
}

const ordered = (said) => [said.replace(/^-/, ""), said.startsWith("-") ? "descending" : "ascending"];

function headOf(column, direction) {
  const attributes = { scope: "col", class: NUMBERS.test(column.type) ? "n" : null, "data-column": column.name };
  if (column.type === "jsonb") return element("th", attributes, column.name);
  const mark = direction ? (direction === "ascending" ? " ▲" : " ▼") : "";
  const button = element("button", { type: "button", title: column.meaning }, `${column.name}${mark}`);
  button.onclick = () => change((now) => now.set("sort", direction === "ascending" ? `-${column.name}` : column.name));
  return element("th", { ...attributes, "aria-sort": direction ?? null }, button);
}

/** A value as the API gives it; of a ratio a few decimals, its title has them all. */
function written(value, column) {
  return column.type === "double precision" ? number(value, DECIMALS) : plain(value);
}

async function download(event) {
  event.preventDefault();
  const button = event.submitter ?? at("download").querySelector("button");
  const said = at("file");
  button.disabled = true;
  said.className = "soft";
  try {
    const format = at("format").value;
    const { columns, sort, filter } = parameters();
    let now = await startExport({ table: table.name, columns, sort, filter, ...(FORMATS[format] ?? { format }) });
    while (["queued", "running"].includes(now.state)) {
      said.textContent = now.rows_to_do ? `${whole(now.rows_done)} of ${whole(now.rows_to_do)} rows` : `${now.state} …`;
      await new Promise((done) => setTimeout(done, POLL_MS));
      now = await ask(`exports/${now.id}`);
    }
    if (now.state !== "done") throw new Problem(0, now.error ?? `The export was ${now.state}.`);
    const link = element("a", { href: now.file, download: "" }, `The file, ${whole(now.rows_done)} rows`);
    said.replaceChildren(link, ...(now.note ? [` ${now.note}`] : []));
    link.click();
  } catch (problem) {
    said.className = "bad";
    said.textContent = problem.message;
  } finally {
    button.disabled = false;
  }
}

start();
drawLineage(at("picture"));
