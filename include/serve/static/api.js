/* The API, as the pages ask it. */

const { home, airflow: root, shop } = document.documentElement.dataset;
const HOME = new URL(home, location.origin);
const PATIENCE = 6; // times that it is asked, while it says "busy, try again": about as long as a publication takes

/** The address of a page of ours. */
export const page = (path) => new URL(path, HOME);

/** The address of a page of Airflow's own. */
export const airflow = (path) => new URL(path, new URL(root, location.origin));

/** What Airflow calls a DAG: of several shops each has its own. */
export const dagId = (dag) => (shop ? `${dag}__${shop}` : dag);

/** What went wrong, as the API says it (RFC 9457). */
export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** What an address answers. A busy API is asked again, where asking changes nothing. */
async function answered(url, options = {}) {
  for (let tries = 1; ; tries++) {
    const answer = await fetch(url, { ...options, headers: { Accept: "application/json", ...options.headers } }).catch(
      () => {
        throw new Problem(0, "Airflow does not answer. Is it running?");
      },
    );
    if (answer.ok) return answer.json();
    if ([429, 503].includes(answer.status) && tries < PATIENCE && !options.method) {
      const seconds = Number(answer.headers.get("Retry-After")) || 1;
      await new Promise((done) => setTimeout(done, 1000 * Math.min(seconds, 10)));
      continue;
    }
    const said = await answer.json().catch(() => ({}));
    const login = answer.status === 401 ? "You are not logged in any more: load the page again." : undefined;
    // Airflow's own API says it as a text, or as a list of what is wrong.
    const detail = typeof said.detail === "string" ? said.detail : said.detail?.[0]?.msg;
    throw new Problem(answer.status, login ?? detail ?? `Airflow answered ${answer.status}.`);
  }
}

/** Send something to be done. The header is one that a form of another site cannot send. */
const posted = (url, body) =>
  answered(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Requested-With": "stocktake" },
    body: JSON.stringify(body),
  });

/** What a route of our API answers. Of several values of a parameter each is sent; null is not. */
export function ask(path, parameters = {}) {
  const url = page(`api/v1/${path}`);
  for (const [name, values] of Object.entries(parameters))
    for (const value of [values].flat()) if (value != null) url.searchParams.append(name, value);
  return answered(url);
}

/** A figure: its meaning, columns, SQL and rows. Of an amount the rows have a text, exact. */
export const figure = (name, parameters) => ask(`metrics/${name}`, parameters);

/** Ask for an export of a table. */
export const startExport = (wanted) => posted(page("api/v1/exports"), wanted);

/** A run of a DAG, as Airflow's own API says it. */
export const dagRun = (dag, run) => answered(airflow(`api/v2/dags/${dagId(dag)}/dagRuns/${encodeURIComponent(run)}`));

/** Trigger a DAG by Airflow's own API, which knows whether the user may. */
export const trigger = (dag, parameters) =>
  posted(airflow(`api/v2/dags/${dagId(dag)}/dagRuns`), { logical_date: null, conf: parameters });
