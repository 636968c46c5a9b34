/* How each figure is drawn: a function takes the place, the figure's rows and the currency that they are in. */

import { page } from "./api.js";
import { link } from "./links.js";
import { amount, chart, element, money, number, percent, table, whole } from "./show.js";

export const DAY = {
  field: "day",
  type: "temporal",
  title: null,
  timeUnit: "utcyearmonthdate",
  bandPosition: 0.5,
  // A day's name stands below the middle of its bar, once: Vega's own ticks begin at its left edge, stand at noons
  // where days are few, and end with the day after the last.
  axis: {
    format: "%d %b",
    ticks: false,
    labelFlush: false,
    labelBound: 12,
    labelSeparation: 6,
    tickMinStep: 86_400_000,
    tickOffset: { expr: "(scale('x', 86400000) - scale('x', 0)) / 2" },
    labelExpr: "utchours(datum.value) || datum.value >= domain('x')[1] ? '' : datum.label",
  },
};
const MANY = 120; // days
/** The same of a night. */
export const NIGHT = { ...DAY, field: "night" };
const OF_DAY = { ...DAY, title: "day" };
export const OF_NIGHT = { ...NIGHT, title: "night" };
const count = (field, title = field) => ({ field, type: "quantitative", title });
export const words = (code) => String(code).replaceAll("_", " ");
const total = (rows, name) => rows.reduce((sum, row) => sum + Number(row[name] ?? 0), 0);
const distinct = (rows, name) => new Set(rows.map((row) => row[name])).size;

/** The same rows with numbers in these columns: amounts are texts, which no chart can scale. */
export const numbers = (rows, ...names) =>
  rows.map((row) => ({
    ...row,
    ...Object.fromEntries(names.map((name) => [name, row[name] == null ? null : Number(row[name])])),
  }));

/** Bars of days; where they are many, with nothing between them: each is a pixel or two. */
const bars = (rows, more = {}) => ({ type: "bar", binSpacing: distinct(rows, "day") > MANY ? 0 : 1, ...more });

/** How many columns a legend may have: on a phone, half as many. */
export const fitting = (place, columns) => (place.clientWidth < 400 ? columns / 2 : columns);

/** What a place says that has nothing to show. */
export const none = (place) => place.append(element("p", { class: "soft" }, "There is none."));

export function netSales(place, rows, currency) {
  const says = `Net sales of ${rows.length} days, ${money(total(rows, "net_sales"), currency)} in all`;
  const y = (field) => ({ field, type: "quantitative", title: `net sales, ${currency}`, axis: { format: "~s" } });
  const told = (field) => ({ ...count(field), format: ",.2f" });
  return chart(place, says, {
    data: { values: numbers(rows, "net_sales", "weekday_median") },
    encoding: { x: DAY, tooltip: [OF_DAY, told("net_sales"), told("weekday_median")] },
    layer: [
      { mark: bars(rows, { opacity: 0.75 }), encoding: { y: y("net_sales"), color: { datum: "net sales" } } },
      { mark: "line", encoding: { y: y("weekday_median"), color: { datum: "usual on that weekday" } } },
    ],
  });
}

/** Bars of an amount by day. */
export const byDay =
  (name, title, ...more) =>
  (place, rows, currency) =>
    chart(place, `${title} of ${rows.length} days, ${money(total(rows, name), currency)} in all`, {
      data: { values: numbers(rows, name) },
      mark: bars(rows),
      encoding: {
        x: DAY,
        y: { ...count(name, currency), axis: { format: "~s" } },
        tooltip: [OF_DAY, { ...count(name), format: ",.2f" }, ...more.map((one) => count(one))],
      },
    });

/** Bars of a count, one for each of some classes. */
export const byClass =
  (name, counted, title, sort = "-x") =>
  (place, rows) => {
    const values = rows.map((row) => ({ ...row, label: words(name(row)) }));
    const says = `${title}: ${values.map((row) => `${row.label} ${whole(row[counted])}`).join(", ")}`;
    return chart(place, says, {
      data: { values },
      mark: "bar",
      encoding: {
        y: { field: "label", type: "nominal", title: null, sort },
        x: count(counted),
        tooltip: [{ field: "label", title: "class" }, count(counted)],
      },
    });
  };

export const stockHealth = (place, rows) =>
  byClass(
    (row) => row.status,
    "shelves",
    `Shelves by status on ${rows.at(-1).night}`,
  )(
    place,
    rows.filter((row) => row.night === rows.at(-1).night),
  );

/** How long a band of days of supply lasts. */
export function band(row) {
  if (row.from_days == null) return "nothing sold";
  return row.below_days == null ? `${row.from_days} days and more` : `${row.from_days} to ${row.below_days} days`;
}

export function discounts(place, rows) {
  const sold = total(rows, "gross_sales");
  const share = sold ? total(rows, "discounts") / sold : null;
  return chart(place, `Discounts of ${rows.length} days, ${percent(share)} of gross sales in all`, {
    data: { values: rows },
    mark: "line",
    encoding: {
      x: DAY,
      y: { ...count("discount_rate", null), axis: { format: ".0%" } },
      tooltip: [OF_DAY, { ...count("discount_rate"), format: ".1%" }],
    },
  });
}

export function fulfilment(place, rows) {
  const values = rows.flatMap((row) => [
    { day: row.day, warehouse: `warehouse ${row.warehouse_id}`, share: "half", hours: row.hours_to_ship_p50 },
    { day: row.day, warehouse: `warehouse ${row.warehouse_id}`, share: "nine in ten", hours: row.hours_to_ship_p90 },
  ]);
  return chart(place, `Hours within which half and nine in ten of the orders left, of ${distinct(rows, "day")} days`, {
    data: { values },
    mark: "line",
    encoding: {
      x: DAY,
      y: count("hours"),
      color: { field: "warehouse", type: "nominal", title: null, legend: { columns: fitting(place, 4) } },
      strokeDash: { field: "share", type: "nominal", title: null, legend: { orient: "bottom" } },
      tooltip: [OF_DAY, { field: "warehouse" }, { field: "share" }, { ...count("hours"), format: ".1f" }],
    },
  });
}

export function cohorts(place, rows) {
  const past = rows.filter((row) => row.is_past && row.months_since > 0);
  if (!past.length) return none(place);
  const months = distinct(past, "cohort_month");
  const rate = { field: "retention_rate", type: "quantitative" };
  return chart(place, `Share of customers who order again, of ${months} months of first orders`, {
    data: { values: past },
    height: 22 * months,
    mark: "rect",
    encoding: {
      y: { field: "cohort_month", type: "ordinal", title: null, timeUnit: "utcyearmonth", axis: { format: "%b %Y" } },
      x: { field: "months_since", type: "ordinal", title: "months since", axis: { labelAngle: 0 } },
      color: { ...rate, title: null, scale: { interpolate: "rgb" }, legend: { format: ".0%" } },
      tooltip: [
        { field: "cohort_month", timeUnit: "utcyearmonth", title: "cohort_month" },
        { field: "months_since" },
        count("customers"),
        { ...rate, format: ".1%" },
      ],
    },
  });
}

const product = { title: "Product", of: (row) => row.name ?? `product ${row.product_id}` };
const inMoney = (title, name) => ({ title, number: true, of: (row) => amount(row[name], row.currency) });

/** A table of some columns. */
const listed = (columns) => (place, rows) => place.append(table(columns, rows));

export const topProducts = listed([
  product,
  inMoney("Net sales", "net_sales"),
  { title: "Units", number: true, of: (row) => number(row.units) },
  inMoney("Gross margin", "gross_margin"),
]);

export const movers = listed([
  product,
  {
    title: "Change",
    number: true,
    of: (row) => `${Number(row.change) < 0 ? "▼" : "▲"} ${amount(String(row.change).replace("-", ""), row.currency)}`,
  },
  inMoney("This week", "net_sales"),
  inMoney("Last week", "net_sales_before"),
]);

/** Why a shelf is to be ordered for, in a sentence that its owner can check: what is wanted is there, on order or ordered. */
function reason(row) {
  const wanted = row.available + row.on_order_units + row.suggested_order;
  const ordered = row.on_order_units ? `, ${number(row.on_order_units)} on order` : "";
  const lasts = row.days_of_supply == null ? "" : `, lasts ${number(row.days_of_supply)} days`;
  const there = `${number(wanted)} wanted, ${number(row.available)} there${ordered}`;
  return `${there}; sells ${number(row.velocity)} a day${lasts}; reorder point ${number(row.reorder_point)}`;
}

const orders = listed([
  product,
  { title: "Order", number: true, of: (row) => number(row.suggested_order) },
  { title: "Warehouse", of: (row) => String(row.warehouse_id) },
  { title: "SKU", narrow: true, of: (row) => row.sku ?? "–" },
  { title: "When", of: (row) => (row.is_due ? "now" : "can wait") },
  { title: "Status", of: (row) => words(row.status) },
  { title: "Why", text: true, of: reason },
]);

/** The greatest orders, and where all of them are. */
export function suggestedOrders(place, rows) {
  orders(place, rows);
  const all = page("tables/reporting.inventory_health");
  all.searchParams.append("filter", `night=${rows[0].night}`);
  all.searchParams.append("filter", "suggested_order>0");
  all.searchParams.set("sort", "-suggested_order");
  place.append(element("p", {}, link("All in Explore", all)));
}
