"""How a program reads a table: pandas, DuckDB, curl and Excel, each with what is asked in the page's address."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from include.serve import PREFIX
from include.serve.api.query import Query
from include.serve.api.tables import tables_of_shop
from include.serve.rendering import template
from include.settings import settings

_API: Final = f"{PREFIX}/api/v1"

_PANDAS: Final = """\
import os

import pandas as pd
import pyarrow as pa
import requests

stocktake = {address!r}
login = {{"username": os.environ["STOCKTAKE_USER"], "password": os.environ["STOCKTAKE_PASSWORD"]}}
answer = requests.post(f"{{stocktake}}/auth/token", json=login)
answer.raise_for_status()
session = requests.Session()
session.headers["Authorization"] = f"Bearer {{answer.json()['access_token']}}"

pages, url = [], stocktake + {path!r}
while url:
    answer = session.get(url)
    answer.raise_for_status()
    pages.append(pa.ipc.open_stream(answer.content).read_all())
    following = answer.links.get("next")  # all pages are of one publication
    url = following and requests.compat.urljoin(url, following["url"])
frame: pd.DataFrame = pa.concat_tables(pages).to_pandas()
print(frame)
"""

_CURL: Final = """\
stocktake={address}
token=$(curl -sf -X POST "$stocktake/auth/token" -H 'Content-Type: application/json' \\
    -d "{{\\"username\\": \\"$STOCKTAKE_USER\\", \\"password\\": \\"$STOCKTAKE_PASSWORD\\"}}" \\
    | python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])')
curl -sf "$stocktake"{path} -H "Authorization: Bearer $token"
"""

_DUCKDB: Final = """\
install postgres;
load postgres;
attach '{connection}' as stocktake (type postgres, read_only);
use stocktake;
{select};
"""


@dataclass(frozen=True)
class Asked:
    """Rows that somebody wants, as the API's parameters say it.

    Attributes:
        table: its qualified name.
        columns: names, separated by commas; None for all.
        filters: conditions.
        sort: names, separated by commas; None for the key.
    """

    table: str
    columns: str | None = None
    filters: Sequence[str] = ()
    sort: str | None = None


def render_programs(asked: Asked, address: str, home: str) -> str:
    """The page "Read it from …".

    Args:
        asked: the rows.
        address: where Airflow is, as the browser sees it: ``https://airflow.example.com``.
        home: the path of the dashboard.

    Raises:
        KeyError: when there is no such table.
        Problem: when the table has no such columns, or cannot be filtered so.
    """
    table = tables_of_shop()[asked.table]
    query = Query.of(table, columns=asked.columns, filters=asked.filters, sort=asked.sort)
    said = [("columns", asked.columns), *(("filter", one) for one in asked.filters), ("sort", asked.sort)]
    words = [(name, value) for name, value in said if value]
    rows = f"{_API}/tables/{asked.table}/rows"
    return template(
        "read_it_from.html.j2",
        table=asked.table,
        tables=list(tables_of_shop()),
        asked=words,
        pandas=_PANDAS.format(address=address, path=f"{rows}?{urlencode([*words, ('format', 'arrow')])}"),
        curl=_CURL.format(
            address=shlex.quote(address), path=shlex.quote(f"{rows}?{urlencode([*words, ('format', 'csv')])}")
        ),
        duckdb=_DUCKDB.format(connection=_connection().replace("'", "''"), select=_select(query)),
        server=dict.fromkeys(("host", "port", "dbname", "user"), "") | conninfo_to_dict(_connection()),
        home=home,
    )


def _connection() -> str:
    """Where analysts find the warehouse; their password is not in it."""
    url = settings().analyst_url
    known = conninfo_to_dict(url.get_secret_value() if url else "")
    return make_conninfo("", **{name: known[name] for name in ("host", "port", "dbname", "user") if name in known})


def _select(query: Query) -> str:
    return query.whole(query.columns).as_string(None)
