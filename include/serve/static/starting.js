/* What an operator may start from a page: asked first, then triggered by Airflow's own API. */

import { trigger } from "./api.js";
import { inAirflow } from "./links.js";

const at = (id) => document.getElementById(id);

/** Ask whether something is to be started, start it by Airflow's own API, and say where it is. */
export function started(said, dag, parameters, { question, consequence, yes }) {
  const dialog = at("sure");
  at("question").textContent = question;
  at("consequence").textContent = consequence;
  at("yes").textContent = yes;
  dialog.onclose = async () => {
    if (dialog.returnValue !== "yes") return;
    said.className = "soft";
    said.textContent = "Starting …";
    try {
      const run = await trigger(dag, parameters);
      said.replaceChildren("It was started: ", inAirflow(dag, run.dag_run_id), ".");
    } catch (problem) {
      said.className = "bad";
      said.textContent = problem.status === 403 ? "Only operators may start it." : problem.message;
    }
  };
  dialog.returnValue = "no";
  dialog.showModal();
}
