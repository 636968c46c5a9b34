/* What an operator may start from a page: asked first, then triggered by Airflow's own API. */

import { dagRun, trigger } from "./api.js";
import { inAirflow } from "./links.js";
import { element } from "./show.js";

const EVERY = 2000; // milliseconds between two questions how far a run is
const ENDED = { success: ["good", "It is done: "], failed: ["bad", "It failed; the log of its red task says why: "] };

const at = (id) => document.getElementById(id);

/** Whether the user may start something at all; Airflow refuses it to anybody else. */
export const operates = at("sure") !== null;

/**
 * Ask whether something is to be started, start it by Airflow's own API, say where it is and how it ended.
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
      await followed(said, dag, run);
    } catch (problem) {
      said.className = "bad";
      said.textContent = problem.status === 403 ? "Only operators may start it." : problem.message;
    }
  };
  dialog.returnValue = "no";
  dialog.showModal();
}

/** Say of a run how far it is, until it has ended; what is shown of before can then be shown again. */
async function followed(said, dag, { dag_run_id: run, state: first }) {
  const where = inAirflow(dag, run);
  for (let state = first, before = null; ; state = (await dagRun(dag, run)).state) {
    const [mood, words] = ENDED[state] ?? ["soft", `It is ${state}: `];
    said.className = mood;
    if (state !== before) said.replaceChildren(words, where, "."); // which is read out
    if (state in ENDED) break;
    before = state;
    await new Promise((done) => setTimeout(done, EVERY));
    if (!said.isConnected) return; // other nights are shown
  }
  const again = element("button", { type: "button" }, "Show what is new");
  again.onclick = () => location.reload();
  said.append(" ", again);
}
