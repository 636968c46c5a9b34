/* Panels: each has a title, asks for something, and draws it; one that fails says why and can be tried again. */

import { element, trouble } from "./show.js";

const AT_ONCE = 4; // asked for together; the API answers two of a user's at once

/** A panel that is still empty. */
export function panel(title, wide) {
  return element(
    "section",
    { class: wide ? "panel wide-panel" : "panel", "aria-busy": "true" },
    element("h2", {}, title),
    element("p", { class: "soft" }, "Loading …"),
  );
}

/** Fill a panel: `load` answers what there is, `draw` fills the body with it, `foot` says what stands below. */
export async function fill(place, load, draw, foot = () => null) {
  const title = place.querySelector("h2");
  try {
    const found = await load();
    const body = element("div", { class: "body" });
    place.replaceChildren(title, body);
    await draw(body, found);
    place.append(...[foot(found)].filter(Boolean));
  } catch (problem) {
    const again = () => {
      place.replaceChildren(title, element("p", { class: "soft" }, "Loading …"));
      fill(place, load, draw, foot);
    };
    place.replaceChildren(title, trouble(problem, again));
  } finally {
    place.setAttribute("aria-busy", "false");
  }
}

/** Do all of some work, a few at once, as long as it is wanted. */
export async function all(work, wanted = () => true) {
  const worker = async () => {
    while (work.length && wanted()) await work.shift()();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
