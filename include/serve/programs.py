"""How a program reads a table: pandas, DuckDB, curl and Excel, each with what is asked in the page's address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from include.serve import mounted_at
from include.serve.api.published import tables_of_shop
from include.serve.api.query import Query
from include.serve.rendering import template
from include.settings import settings


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
    rows = f"{mounted_at()}/api/v1/tables/{asked.table}/rows"
    return template(
        "read_it_from.html.j2",
        table=asked.table,
        tables=list(tables_of_shop()),
        asked=words,
        address=address,
        rows_as_arrow=f"{rows}?{urlencode([*words, ('format', 'arrow')])}",
        rows_as_csv=f"{rows}?{urlencode([*words, ('format', 'csv')])}",
        connection=_connection().replace("'", "''"),
        select=query.whole(query.columns).as_string(None),
        server=dict.fromkeys(("host", "port", "dbname", "user"), "") | conninfo_to_dict(_connection()),
        home=home,
    )


def _connection() -> str:
    """Where analysts find the warehouse; their password is not in it."""
    url = settings().analyst_url
    known = conninfo_to_dict(url.get_secret_value() if url else "")
    return make_conninfo("", **{name: known[name] for name in ("host", "port", "dbname", "user") if name in known})
