/* How numbers, tables, charts and troubles are shown; in the page's colours, light and dark. */

/* global vegaEmbed */

const LANGUAGE = document.documentElement.lang;
const FIRST = 12; // rows of a long table that are shown at first

export const whole = (value) => number(value, 0);

export function number(value, decimals = 1) {
  if (value == null) return "–";
  return Number(value).toLocaleString(LANGUAGE, { maximumFractionDigits: decimals });
}

/** An amount in the currency's own decimals, with its code. */
export const money = (value, currency) => (value == null || !currency ? "–" : inCurrency(currency).format(value));

/** The same where its code stands above it. */
export function amount(value, currency) {
  if (value == null || !currency) return "–";
  const parts = inCurrency(currency).formatToParts(value);
  const shown = parts.filter((part) => part.type !== "currency").map((part) => part.value);
  return shown.join("").trim();
}

const inCurrency = (currency) =>
  new Intl.NumberFormat(LANGUAGE, { style: "currency", currency, currencyDisplay: "code" });

export const percent = (value) =>
  value == null ? "–" : Number(value).toLocaleString(LANGUAGE, { style: "percent", maximumFractionDigits: 1 });

export const weekday = (day) =>
  new Date(`${day}T00:00:00Z`).toLocaleDateString(LANGUAGE, { weekday: "long", timeZone: "UTC" });

/** An instant in the shop's time zone, as the reports have it. */
export const moment = (instant) =>
  new Date(instant).toLocaleString(LANGUAGE, {
    dateStyle: "medium",
    timeStyle: "short",
    timeZone: document.documentElement.dataset.timezone,
  });

/** How long ago: "3 hours ago", "2 days ago". */
export function ago(hours) {
  const [count, unit] = hours < 1 ? [hours * 60, "minute"] : hours < 48 ? [hours, "hour"] : [hours / 24, "day"];
  return new Intl.RelativeTimeFormat(LANGUAGE).format(-Math.round(count), unit);
}

/** An element with text or children in it; text is never taken for HTML. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value != null) made.setAttribute(key, value);
  made.append(...children.filter((child) => child != null));
  return made;
}

/** A text of a declaration, with the names that stand in backticks there as code. */
export const marked = (text) =>
  text.split("`").map((part, place) => (place % 2 ? element("code", {}, part) : document.createTextNode(part)));

/** A value of a column of any type; an object as JSON. */
export const plain = (value) =>
  value == null ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value);

const classOf = (column) => (column.number ? "n" : column.narrow ? "nowrap" : column.text ? "text" : null);

/**
 * A table. A column: title, of (the text of a row), number (it stands at the right), narrow (it is not broken), text (it
 * is sentences, which a phone would break at every word).
 */
export function table(columns, rows) {
  const cells = (row) =>
    columns.map((column, place) =>
      element(place ? "td" : "th", { class: classOf(column), scope: place ? null : "row" }, column.of(row)),
    );
  const head = columns.map((column) =>
    element("th", { class: column.number ? "n" : null, scope: "col" }, column.title),
  );
  return element(
    "div",
    { class: "wide", tabindex: "0", role: "region", "aria-label": "Table" },
    element(
      "table",
      {},
      element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...rows.map((row) => element("tr", {}, ...cells(row)))),
    ),
  );
}

/** A table that begins with its first rows; a button shows the others. */
export function shortTable(columns, rows) {
  const shown = element("div", {}, table(columns, rows.slice(0, FIRST)));
  if (rows.length > FIRST) {
    const more = element("button", { type: "button" }, `Show all ${whole(rows.length)}`);
    more.onclick = () => shown.replaceChildren(table(columns, rows));
    shown.append(element("p", {}, more));
  }
  return shown;
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function theme() {
  const [ink, soft, line] = ["ink", "soft", "line"].map(colour);
  return {
    background: "transparent",
    font: "system-ui, sans-serif",
    view: { stroke: null },
    axis: {
      labelColor: soft,
      titleColor: soft,
      gridColor: line,
      domainColor: line,
      tickColor: line,
      labelFontSize: 11,
      titleFontWeight: "normal",
    },
    axisX: { grid: false, labelFlush: true, labelOverlap: true },
    legend: {
      labelColor: ink,
      titleColor: soft,
      orient: "top",
      labelFontSize: 12,
      titleFontWeight: "normal",
      symbolStrokeWidth: 3,
    },
    line: { color: colour("series-1"), strokeWidth: 2 },
    bar: { color: colour("series-1") },
    rect: { stroke: colour("card"), strokeWidth: 1 },
    text: { color: ink },
    range: {
      category: [1, 2, 3, 4, 5, 6, 7, 8].map((place) => colour(`series-${place}`)),
      heatmap: [colour("card"), colour("series-1")],
    },
  };
}

const drawn = new Map();

/** Draw a chart of Vega-Lite, as wide as its place. `says` is its text, for those who do not see it. */
export async function chart(place, says, spec) {
  drawn.set(place, [says, spec]);
  const full = {
    description: says,
    width: "container",
    autosize: { type: "fit-x", contains: "padding" },
    height: 220,
    ...spec,
  };
  // Expressions are walked, not compiled: the page may not make code of text.
  await vegaEmbed(place, full, { actions: false, ast: true, renderer: "svg", config: theme() });
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const [place, [says, spec]] of drawn) if (place.isConnected) chart(place, says, spec);
});

/** The SQL that gave a figure, to copy, with what it means. */
export function behind(found) {
  const sql = element("pre", { tabindex: "0" }, element("code", {}, found.sql));
  const copy = element("button", { type: "button" }, "Copy");
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(found.sql);
      copy.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(sql); // where the page may not write to the clipboard
      copy.textContent = "Selected";
    }
  });
  return element(
    "details",
    {},
    element("summary", {}, "SQL"),
    element(
      "div",
      { class: "body" },
      element("p", { class: "soft" }, ...marked(`${found.meaning} ${found.grain}`)),
      copy,
      sql,
    ),
  );
}

/** Why something is not shown. */
export function trouble(problem, again) {
  const said = element("p", { class: problem.status === 404 ? "soft" : "bad", role: "status" }, problem.message);
  if (problem.status === 404) return said;
  const button = element("button", { type: "button" }, "Try again");
  button.addEventListener("click", again);
  return element("div", {}, said, button);
}
