/* What an operator may start from a page: asked first, then triggered by Airflow's own API. */

import { trigger } from "./api.js";
import { inAirflow } from "./links.js";

const at = (id) => document.getElementById(id);

/** Whether the user may start something at all; Airflow refuses it to anybody else. */
export const operates = at("sure") !== null;

/**
 * Ask whether something is to be started, start it by Airflow's own API, and say where it is.
 *
 * `parameters` gives what the DAG is told; where `asks` names a text that the operator is to write, it is given that.
 */
export function started(said, dag, parameters, { question, consequence, yes, asks }) {
  const dialog = at("sure");
  const words = at("words");
  at("question").textContent = question;
  at("consequence").textContent = consequence;
  at("yes").textContent = yes;
  at("asked").hidden = !asks;
  at("asks").textContent = asks ?? "";
  words.required = Boolean(asks);
  words.value = "";
  dialog.onclose = async () => {
    if (dialog.returnValue !== "yes") return;
    said.className = "soft";
    said.textContent = "Starting …";
    try {
      const run = await trigger(dag, parameters(words.value));
      said.replaceChildren("It was started: ", inAirflow(dag, run.dag_run_id), ".");
    } catch (problem) {
      said.className = "bad";
      said.textContent = problem.status === 403 ? "Only operators may start it." : problem.message;
    }
  };
  dialog.returnValue = "no";
  dialog.showModal();
}
