/* Links to pages of ours and of Airflow's own. */

import { airflow, dagId, page } from "./api.js";
import { element } from "./show.js";

export const link = (text, href, more = {}) => element("a", { href: href.href, ...more }, text);
export const report = (text, run) => link(text, page(`runs/${encodeURIComponent(run)}`));
export const inAirflow = (dag, run) =>
  link("in Airflow", airflow(`dags/${dagId(dag)}/runs/${encodeURIComponent(run)}`), { target: "_top" });
