/* The API's figures and rows, as the pages ask for them. */

const API = new URL("api/v1/", document.baseURI);
const PATIENCE = 3; // times that an answer "busy, try again" is taken for one

/** What went wrong, as the API says it (RFC 9457). */
export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** A figure: its meaning, columns, SQL and rows. Of an amount the rows have a text, exact. */
export async function figure(name, parameters = {}) {
  const url = new URL(`metrics/${name}`, API);
  for (const [key, value] of Object.entries(parameters)) if (value != null) url.searchParams.set(key, value);
  for (let tries = 1; ; tries++) {
    const answer = await fetch(url, { headers: { Accept: "application/json" } }).catch(() => {
      throw new Problem(0, "Airflow does not answer. Is it running?");
    });
    if (answer.ok) return answer.json();
    if ([429, 503].includes(answer.status) && tries < PATIENCE) {
      const seconds = Number(answer.headers.get("Retry-After")) || 1;
      await new Promise((done) => setTimeout(done, 1000 * Math.min(seconds, 10)));
      continue;
    }
    const said = await answer.json().catch(() => ({}));
    const login = answer.status === 401 ? "You are not logged in any more: load the page again." : undefined;
    throw new Problem(answer.status, login ?? said.detail ?? `Airflow answered ${answer.status}.`);
  }
}
