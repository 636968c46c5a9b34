/* The page of the morning: yesterday beside what is usual, then the charts. Which figure is shown where, and how. */

import { figure } from "./api.js";
import { ago, amount, behind, chart, element, money, number, percent, table, trouble, weekday, whole } from "./show.js";

const AT_ONCE = 4; // figures that are asked for together; the API answers two of a user's at once

const DAY = {
  field: "day",
  type: "temporal",
  title: null,
  timeUnit: "utcyearmonthdate",
  bandPosition: 0.5,
  axis: { format: "%d %b" },
};
const TREND = { height: 36, padding: 0, view: { stroke: null } };

/** Yesterday's figures. `of` says a value; `more` what else stands in the row of the day. */
const CARDS = [
  { figure: "net_sales", title: "Net sales", of: money },
  { figure: "orders", title: "Orders", of: whole, more: (row) => `${whole(row.cancelled_orders)} cancelled` },
  { figure: "average_order_value", title: "Average order", of: money },
  { figure: "returns", title: "Returns", of: money },
  {
    figure: "new_customers",
    title: "New customers",
    of: whole,
    more: (row) => `${whole(row.guest_orders)} orders of guests`,
  },
  {
    figure: "stockouts",
    value: "shelves",
    title: "Empty shelves",
    of: whole,
    more: (row) => `lost that day ${money(row.lost_sales, row.currency)}`,
  },
];

/** The charts and tables. `draw` fills a place with the rows of a figure. */
const PANELS = [
  { figure: "net_sales", title: "Net sales by day", range: true, wide: true, draw: netSales },
  { figure: "returns", title: "Returns by day", range: true, draw: returns },
  { figure: "discounts", title: "Discounts, share of gross sales", range: true, draw: discounts },
  { figure: "top_products", title: "Top products, {currency}", range: true, draw: topProducts },
  { figure: "movers", title: "Movers, this week against the last, {currency}", draw: movers },
  { figure: "suggested_orders", title: "What to order, and why", all: true, wide: true, draw: suggestedOrders },
  { figure: "stock_health", title: "Shelves by status", range: true, all: true, draw: stockHealth },
  { figure: "days_of_supply", title: "For how long the stock lasts", all: true, draw: daysOfSupply },
  { figure: "stockouts", title: "Sales lost to empty shelves, by day", range: true, draw: stockouts },
  { figure: "fulfilment", title: "Hours from order to shipment", range: true, all: true, draw: fulfilment },
  { figure: "cohorts", title: "Customers who order again, by month of their first order", draw: cohorts },
  { figure: "rfm_segments", title: "Customers by segment", draw: segments },
];

const asked = { currency: null, days: 28, last: null };
let drawing = 0; // of which choice of currency and days: what comes late from one before is dropped

const from = () =>
  new Date(Date.parse(`${asked.last}T00:00:00Z`) - (asked.days - 1) * 86_400_000).toISOString().slice(0, 10);
const numbers = (rows, ...names) =>
  rows.map((row) => ({
    ...row,
    ...Object.fromEntries(names.map((name) => [name, row[name] == null ? null : Number(row[name])])),
  }));

async function start() {
  const place = document.getElementById("charts");
  try {
    const [fresh] = (await figure("freshness")).rows;
    asked.last = fresh.last_day;
    document.getElementById("age").textContent = ` (${ago(fresh.age_hours)})`;
    const currencies = currenciesOf((await figure("net_sales")).rows);
    asked.currency = currencies[0];
    choices(currencies);
    await show();
  } catch (problem) {
    place.replaceChildren(trouble(problem, () => start()));
    document.getElementById("cards").replaceChildren();
  } finally {
    place.setAttribute("aria-busy", "false");
  }
}

/** The currencies, the one with the most orders of late first; amounts of two are never added up. */
function currenciesOf(rows) {
  const days = new Map();
  for (const row of rows) days.set(row.currency, (days.get(row.currency) ?? 0) + Number(row.net_sales > 0));
  return [...days.keys()].sort((one, other) => days.get(other) - days.get(one) || one.localeCompare(other));
}

function choices(currencies) {
  const currency = document.getElementById("currency");
  const days = document.getElementById("days");
  currency.replaceChildren(...currencies.map((code) => element("option", { value: code }, code)));
  document.getElementById("choices").hidden = false;
  currency.addEventListener("change", () => {
    asked.currency = currency.value;
    show();
  });
  days.addEventListener("change", () => {
    asked.days = Number(days.value);
    show();
  });
}

async function show() {
  const mine = ++drawing;
  document.querySelectorAll(".of-day").forEach((one) => {
    one.textContent = `${weekday(asked.last)}, ${asked.last}`;
  });
  const cards = CARDS.map((card) => [
    card,
    element("section", { class: "card", "aria-busy": "true" }, element("h3", {}, card.title)),
  ]);
  const panels = PANELS.map((panel) => [panel, panelOf(panel)]);
  document.getElementById("cards").replaceChildren(...cards.map(([, place]) => place));
  document.getElementById("charts").replaceChildren(...panels.map(([, place]) => place));
  const work = [
    ...cards.map(
      ([card, place]) =>
        () =>
          fillCard(card, place),
    ),
    ...panels.map(
      ([panel, place]) =>
        () =>
          fillPanel(panel, place),
    ),
  ];
  const worker = async () => {
    while (work.length && mine === drawing) await work.shift()();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

function panelOf(panel) {
  const title = element("h2", {}, panel.title.replace("{currency}", asked.currency));
  return element(
    "section",
    { class: panel.wide ? "panel wide-panel" : "panel", "aria-busy": "true" },
    title,
    element("p", { class: "soft" }, "Loading …"),
  );
}

async function fillCard(card, place) {
  const again = () => {
    place.replaceChildren(element("h3", {}, card.title));
    fillCard(card, place);
  };
  try {
    const found = await figure(card.figure, { currency: asked.currency, to: asked.last });
    const row = found.rows.at(-1);
    if (row?.day !== asked.last) {
      place.append(element("p", { class: "soft" }, "Nothing that day."));
      return;
    }
    const name = card.value ?? card.figure;
    place.append(element("p", { class: "value" }, card.of(row[name], asked.currency)));
    place.append(element("p", { class: "soft" }, usual(card, row, row[name])));
    if (card.more) place.append(element("p", { class: "soft" }, card.more(row)));
    const trend = element("div", { class: "trend" });
    place.append(trend);
    const values = numbers(found.rows, name);
    const points = values.map((one) => one[name]);
    await chart(
      trend,
      `${card.title} of ${values.length} days, from ${card.of(points[0], asked.currency)} to ${card.of(points.at(-1), asked.currency)}`,
      {
        ...TREND,
        data: { values },
        mark: { type: "area", line: true, opacity: 0.15 },
        encoding: {
          x: { ...DAY, axis: null },
          y: { field: name, type: "quantitative", axis: null, scale: { zero: true } },
        },
      },
    );
  } catch (problem) {
    place.append(trouble(problem, again));
  } finally {
    place.setAttribute("aria-busy", "false");
  }
}

/** The value beside the median of the same weekday. */
function usual(card, row, value) {
  if (!("weekday_median" in row)) return row.started == null ? "" : `${whole(row.started)} of them since that day`;
  if (row.weekday_median == null || value == null) return "no such weekday before";
  const median = Number(row.weekday_median);
  const text = `usual on a ${weekday(row.day)}: ${card.of(row.weekday_median, asked.currency)}`;
  if (!median) return text;
  const change = Number(value) / median - 1;
  return `${change < 0 ? "▼" : "▲"} ${percent(Math.abs(change))}, ${text}`;
}

async function fillPanel(panel, place) {
  const title = place.querySelector("h2");
  const again = () => {
    place.replaceChildren(title, element("p", { class: "soft" }, "Loading …"));
    fillPanel(panel, place);
  };
  try {
    const found = await figure(panel.figure, {
      to: asked.last,
      from: panel.range ? from() : null,
      currency: panel.all ? null : asked.currency,
    });
    const body = element("div", { class: "body" });
    place.replaceChildren(title, body);
    if (found.rows.length) await panel.draw(body, found.rows);
    else none(body);
    place.append(behind(found));
  } catch (problem) {
    place.replaceChildren(title, trouble(problem, again));
  } finally {
    place.setAttribute("aria-busy", "false");
  }
}

const inCurrency = (field, title) => ({
  field,
  type: "quantitative",
  title: `${title}, ${asked.currency}`,
  axis: { format: "~s" },
});
const none = (place) => place.append(element("p", { class: "soft" }, "There is none."));
const total = (rows, name) => rows.reduce((sum, row) => sum + Number(row[name] ?? 0), 0);

function netSales(place, rows) {
  const says = `Net sales of ${rows.length} days, ${money(total(rows, "net_sales"), asked.currency)} in all`;
  const amount = (name) => ({ field: name, type: "quantitative", title: name, format: ",.2f" });
  return chart(place, says, {
    data: { values: numbers(rows, "net_sales", "weekday_median") },
    encoding: { x: DAY, tooltip: [{ ...DAY, title: "day" }, amount("net_sales"), amount("weekday_median")] },
    layer: [
      {
        mark: { type: "bar", opacity: 0.75 },
        encoding: { y: inCurrency("net_sales", "net sales"), color: { datum: "net sales" } },
      },
      {
        mark: { type: "line", strokeWidth: 2 },
        encoding: { y: { field: "weekday_median", type: "quantitative" }, color: { datum: "usual on that weekday" } },
      },
    ],
  });
}

function returns(place, rows) {
  return chart(place, `Returns of ${rows.length} days, ${money(total(rows, "returns"), asked.currency)} in all`, {
    data: { values: numbers(rows, "returns") },
    mark: "bar",
    encoding: {
      x: DAY,
      y: inCurrency("returns", "returns"),
      tooltip: [
        { ...DAY, title: "day" },
        { field: "returns", type: "quantitative", format: ",.2f" },
      ],
    },
  });
}

function discounts(place, rows) {
  const share = total(rows, "gross_sales") ? total(rows, "discounts") / total(rows, "gross_sales") : null;
  return chart(place, `Discounts of ${rows.length} days, ${percent(share)} of gross sales in all`, {
    data: { values: rows },
    mark: "line",
    encoding: {
      x: DAY,
      y: { field: "discount_rate", type: "quantitative", title: null, axis: { format: ".0%" } },
      tooltip: [
        { ...DAY, title: "day" },
        { field: "discount_rate", type: "quantitative", format: ".1%" },
      ],
    },
  });
}

const product = { title: "Product", of: (row) => row.name ?? `product ${row.product_id}` };

function topProducts(place, rows) {
  place.append(
    table(
      [
        product,
        { title: "Net sales", number: true, of: (row) => amount(row.net_sales, row.currency) },
        { title: "Units", number: true, of: (row) => number(row.units) },
        { title: "Gross margin", number: true, of: (row) => amount(row.gross_margin, row.currency) },
      ],
      rows,
    ),
  );
}

function movers(place, rows) {
  place.append(
    table(
      [
        product,
        {
          title: "Change",
          number: true,
          of: (row) =>
            `${Number(row.change) < 0 ? "▼" : "▲"} ${amount(String(row.change).replace("-", ""), row.currency)}`,
        },
        { title: "This week", number: true, of: (row) => amount(row.net_sales, row.currency) },
        { title: "Last week", number: true, of: (row) => amount(row.net_sales_before, row.currency) },
      ],
      rows,
    ),
  );
}

/** Why a shelf is to be ordered for, in a sentence an owner can check. */
function reason(row) {
  const ordered = Number(row.on_order_units) ? `, ${number(row.on_order_units)} on order` : "";
  const lasts = row.days_of_supply == null ? "" : `, lasts ${number(row.days_of_supply)} days`;
  return `${number(row.available)} there${ordered}; sells ${number(row.velocity)} a day${lasts}; reorder point ${number(row.reorder_point)}`;
}

function suggestedOrders(place, rows) {
  place.append(
    table(
      [
        product,
        { title: "SKU", narrow: true, of: (row) => row.sku ?? "–" },
        { title: "Warehouse", of: (row) => String(row.warehouse_id) },
        { title: "Order", number: true, of: (row) => number(row.suggested_order) },
        { title: "Status", of: (row) => String(row.status).replaceAll("_", " ") },
        { title: "Why", of: reason },
      ],
      rows,
    ),
  );
}

function stockHealth(place, rows) {
  const night = rows.at(-1).night;
  const last = rows.filter((row) => row.night === night).map((row) => `${whole(row.shelves)} ${row.status}`);
  return chart(place, `Shelves by status; on ${night}: ${last.join(", ")}`, {
    data: {
      values: rows
        .filter((row) => row.night === night)
        .map((row) => ({ ...row, status: String(row.status).replaceAll("_", " ") })),
    },
    mark: "bar",
    encoding: {
      y: { field: "status", type: "nominal", title: null, sort: "-x" },
      x: { field: "shelves", type: "quantitative", title: `shelves on ${night}` },
      tooltip: [{ field: "status" }, { field: "shelves", type: "quantitative" }],
    },
  });
}

function band(row) {
  if (row.from_days == null) return "nothing sold";
  return row.below_days == null ? `${row.from_days} days and more` : `${row.from_days} to ${row.below_days} days`;
}

function daysOfSupply(place, rows) {
  const values = rows.map((row) => ({ ...row, band: band(row) }));
  return chart(
    place,
    `Shelves by days of supply: ${values.map((row) => `${row.band} ${whole(row.shelves)}`).join(", ")}`,
    {
      data: { values },
      mark: "bar",
      encoding: {
        y: { field: "band", type: "nominal", title: null, sort: null },
        x: { field: "shelves", type: "quantitative", title: "shelves" },
        tooltip: [{ field: "band" }, { field: "shelves", type: "quantitative" }],
      },
    },
  );
}

function stockouts(place, rows) {
  return chart(place, `Sales lost in ${rows.length} days, ${money(total(rows, "lost_sales"), asked.currency)} in all`, {
    data: { values: numbers(rows, "lost_sales") },
    mark: "bar",
    encoding: {
      x: DAY,
      y: inCurrency("lost_sales", "lost sales"),
      tooltip: [
        { ...DAY, title: "day" },
        { field: "lost_sales", type: "quantitative", format: ",.2f" },
        { field: "shelves", type: "quantitative" },
      ],
    },
  });
}

function fulfilment(place, rows) {
  const values = rows.flatMap((row) =>
    [
      ["half", row.hours_to_ship_p50],
      ["nine in ten", row.hours_to_ship_p90],
    ].map(([share, hours]) => ({ day: row.day, warehouse: `warehouse ${row.warehouse_id}`, share, hours })),
  );
  return chart(
    place,
    `Hours within which half and nine in ten orders left, by warehouse, of ${new Set(rows.map((row) => row.day)).size} days`,
    {
      data: { values },
      mark: "line",
      encoding: {
        x: DAY,
        y: { field: "hours", type: "quantitative", title: "hours" },
        color: { field: "warehouse", type: "nominal", title: null },
        strokeDash: { field: "share", type: "nominal", title: null },
        tooltip: [
          { ...DAY, title: "day" },
          { field: "warehouse" },
          { field: "share" },
          { field: "hours", type: "quantitative", format: ".1f" },
        ],
      },
    },
  );
}

function cohorts(place, rows) {
  const past = rows.filter((row) => row.is_past && row.months_since > 0);
  if (!past.length) return none(place);
  return chart(
    place,
    `Share of customers who order again, of ${new Set(past.map((row) => row.cohort_month)).size} months of first orders`,
    {
      data: { values: past },
      height: 22 * new Set(past.map((row) => row.cohort_month)).size,
      mark: "rect",
      encoding: {
        y: { field: "cohort_month", type: "ordinal", title: null, timeUnit: "utcyearmonth", axis: { format: "%b %Y" } },
        x: { field: "months_since", type: "ordinal", title: "months since", axis: { labelAngle: 0 } },
        color: {
          field: "retention_rate",
          type: "quantitative",
          title: null,
          scale: { interpolate: "rgb" },
          legend: { format: ".0%" },
        },
        tooltip: [
          { field: "cohort_month" },
          { field: "months_since" },
          { field: "customers", type: "quantitative" },
          { field: "retention_rate", type: "quantitative", format: ".1%" },
        ],
      },
    },
  );
}

function segments(place, rows) {
  return chart(
    place,
    `Customers by segment: ${rows.map((row) => `${row.segment} ${whole(row.customers)}`).join(", ")}`,
    {
      data: { values: rows.map((row) => ({ ...row, segment: String(row.segment).replaceAll("_", " ") })) },
      mark: "bar",
      encoding: {
        y: { field: "segment", type: "nominal", title: null, sort: "-x" },
        x: { field: "customers", type: "quantitative", title: "customers" },
        tooltip: [
          { field: "segment" },
          { field: "customers", type: "quantitative" },
          { field: "mean_recency_days", type: "quantitative", format: ".0f" },
        ],
      },
    },
  );
}

start();
