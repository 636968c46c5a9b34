/* The lineage as a picture: dagre places the tables, a click on one leads to its page. */

import { ask, page } from "./api.js";
import { trouble } from "./show.js";

const SVG = "http://www.w3.org/2000/svg";
const ROOT = " "; // stands before all and is not drawn
const PINNED = 1000; // the weight of an edge that is to be short
const [HEIGHT, LETTER, MARGIN] = [26, 7.2, 8]; // pixels; LETTER is the width of one of 12 pixels

/** The page of a table, of the shop, a source or a published one. */
export function pageOf(name) {
  const [kind, ...rest] = name.split(".");
  if (kind === "source") return page(`sources/${rest.join(".")}`);
  if (kind === "shop") return page(`shop/${encodeURIComponent(rest.join("."))}`);
  return page(`tables/${name}`);
}

/** Draw it into a place: all of it, or what leads to one table and what that leads to. */
export async function drawLineage(place) {
  try {
    const { nodes, edges } = await ask("lineage");
    const focus = place.dataset.of;
    const shown = focus ? new Set([...reached(focus, edges, 0, 1), ...reached(focus, edges, 1, 0)]) : null;
    const wanted = nodes.filter((node) => !shown || shown.has(node.name));
    if (!wanted.length) return place.replaceChildren("There is none.");
    const both = edges.filter((edge) => edge.every((name) => !shown || shown.has(name)));
    place.replaceChildren(picture(wanted, both, focus));
    const here = place.querySelector(".here rect");
    if (here) place.scrollLeft = here.x.baseVal.value + here.width.baseVal.value / 2 - place.clientWidth / 2;
  } catch (problem) {
    place.replaceChildren(trouble(problem, () => drawLineage(place)));
  } finally {
    place.setAttribute("aria-busy", "false");
  }
}

/** The names that are reached from one, itself too, along the edges or against them. */
function reached(name, edges, from, to) {
  const found = new Set([name]);
  for (const one of found) for (const edge of edges) if (edge[from] === one) found.add(edge[to]);
  return found;
}

function picture(nodes, edges, focus) {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "LR", nodesep: 8, ranksep: 48, marginx: MARGIN, marginy: MARGIN });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const { name } of nodes) graph.setNode(name, { width: name.length * LETTER + 16, height: HEIGHT });
  for (const [one, other] of edges) graph.setEdge(one, other, { weight: one.startsWith("shop.") ? PINNED : 1 });
  // The shop's tables stand in the first column, and their sources in the second, however late they are needed.
  const first = nodes.filter(({ kind }) => kind === "shop");
  if (first.length) graph.setNode(ROOT, { width: 0, height: 0 });
  for (const { name } of first) graph.setEdge(ROOT, name, { weight: PINNED });
  dagre.layout(graph);
  const { width, height } = graph.graph();
  const drawn = svg("svg", {
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
    role: "group",
    "aria-label": "Lineage",
  });
  for (const edge of graph.edges().filter(({ v }) => v !== ROOT)) {
    const points = graph.edge(edge).points.map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`);
    drawn.append(svg("path", { d: `M${points.join("L")}` }));
  }
  for (const { name, kind } of nodes) {
    const { x, y, width: wide } = graph.node(name);
    const link = svg("a", { href: pageOf(name).href, class: name === focus ? `${kind} here` : kind });
    if (name === focus) link.setAttribute("aria-current", "page");
    link.append(svg("rect", { x: x - wide / 2, y: y - HEIGHT / 2, width: wide, height: HEIGHT, rx: 4 }));
    const text = svg("text", { x, y: y + 4, "text-anchor": "middle" });
    text.textContent = name;
    link.append(text);
    drawn.append(link);
  }
  return drawn;
}

function svg(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
