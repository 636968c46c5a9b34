/* The dashboard: yesterday beside what is usual, then the charts. Which figure is shown where, and how. */

import { figure } from "./api.js";
import {
  DAY,
  band,
  byClass,
  byDay,
  cohorts,
  discounts,
  fulfilment,
  movers,
  netSales,
  none,
  numbers,
  stockHealth,
  suggestedOrders,
  topProducts,
} from "./drawings.js";
import { all, fill, panel } from "./panels.js";
import { ago, behind, chart, element, money, percent, trouble, weekday, whole } from "./show.js";

const TREND = { height: 36, padding: 0, view: { stroke: null } };

/** Yesterday's figures. `of` says a value; `more` what else stands in the row of the day. */
const CARDS = [
  { figure: "net_sales", title: "Net sales", of: money },
  { figure: "orders", title: "Orders", of: whole, more: (row) => `cancelled: ${whole(row.cancelled_orders)}` },
  { figure: "average_order_value", title: "Average order", of: money },
  { figure: "returns", title: "Returns", of: money },
  {
    figure: "new_customers",
    title: "New customers",
    of: whole,
    more: (row) => `orders of guests: ${whole(row.guest_orders)}`,
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
  { figure: "returns", title: "Returns by day", range: true, draw: byDay("returns", "Returns") },
  { figure: "discounts", title: "Discounts, share of gross sales", range: true, draw: discounts },
  { figure: "top_products", title: "Top products, {currency}", range: true, draw: topProducts },
  { figure: "movers", title: "Movers, this week against the last, {currency}", draw: movers },
  { figure: "suggested_orders", title: "What to order, and why", all: true, wide: true, draw: suggestedOrders },
  { figure: "stock_health", title: "Shelves by status", range: true, all: true, draw: stockHealth },
  {
    figure: "days_of_supply",
    title: "For how long the stock lasts",
    all: true,
    draw: byClass(band, "shelves", "Shelves by days of supply", null),
  },
  {
    figure: "stockouts",
    title: "Sales lost to empty shelves, by day",
    range: true,
    draw: byDay("lost_sales", "Lost sales", "shelves"),
  },
  { figure: "fulfilment", title: "Hours from order to shipment", range: true, all: true, draw: fulfilment },
  { figure: "cohorts", title: "Customers who order again, by month of their first order", draw: cohorts },
  {
    figure: "rfm_segments",
    title: "Customers by segment",
    draw: byClass((row) => row.segment, "customers", "Customers by segment"),
  },
];

const asked = { currency: null, days: 28, last: null };
let drawing = 0; // of which choice of currency and days: what comes late from one before is dropped

const from = () =>
  new Date(Date.parse(`${asked.last}T00:00:00Z`) - (asked.days - 1) * 86_400_000).toISOString().slice(0, 10);

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
  currency.onchange = () => {
    asked.currency = currency.value;
    show();
  };
  days.onchange = () => {
    asked.days = Number(days.value);
    show();
  };
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
  const panels = PANELS.map((one) => [one, panel(one.title.replace("{currency}", asked.currency), one.wide)]);
  document.getElementById("cards").replaceChildren(...cards.map(([, place]) => place));
  document.getElementById("charts").replaceChildren(...panels.map(([, place]) => place));
  const work = [
    ...cards.map(
      ([card, place]) =>
        () =>
          fillCard(card, place),
    ),
    ...panels.map(
      ([one, place]) =>
        () =>
          fillPanel(one, place),
    ),
  ];
  await all(work, () => mine === drawing);
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

const fillPanel = (one, place) =>
  fill(
    place,
    () =>
      figure(one.figure, {
        to: asked.last,
        from: one.range ? from() : null,
        currency: one.all ? null : asked.currency,
      }),
    (body, found) => (found.rows.length ? one.draw(body, found.rows, asked.currency) : none(body)),
    behind,
  );

start();
