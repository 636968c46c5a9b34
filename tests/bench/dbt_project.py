"""A dbt project that does a night's work on what dlt has copied of the shop: the files in ``sql/`` as models.

Its tests are what the shop's own schema promises, and rules of ours that look at several rows. dbt itself is not needed
to write it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import psycopg
import yaml
from psycopg.rows import dict_row

from include.sources.shop_file import ShopFile
from tests.bench.place import TIMEZONE
from tests.bench.plain_sql import FOLDER, NAMES
from transforms.parameters import PARAMETERS
from transforms.registry import TABLES

COPIED: Final = "raw"  # the schema into which dlt copies the shop
BUILT: Final = "dbt"  # the schema of the models

_NOT_NULL: Final = """
select attname as column from pg_attribute where attrelid = %s::regclass and attnum > 0 and attnotnull
"""
_CONSTRAINTS: Final = """
select contype as kind, pg_get_constraintdef(con.oid) as definition, confrelid::regclass::text as parent,
    array(
        select attname::text from unnest(conkey) as number join pg_attribute on attrelid = conrelid and attnum = number
    ) as columns
from pg_constraint as con
where conrelid = %s::regclass and contype in ('p', 'u', 'f', 'c')
"""
_OF_SEVERAL_ROWS: Final[Mapping[str, str]] = {
    "subtotal_of_lines": """
        select order_id from {{ source('raw', 'orders') }} as o left join (
            select
                order_id,
                sum(quantity * round(unit_price / case when price_includes_tax then 1.10 else 1 end, 3)) as lines
            from {{ source('raw', 'order_items') }}
            where removed_at is null group by order_id
        ) as l using (order_id) where o.subtotal <> coalesce(l.lines, 0)
    """,
    "refunds_within_line": """
        select order_item_id from {{ source('raw', 'refunds') }} as r
        join {{ source('raw', 'order_items') }} as l using (order_item_id)
        group by order_item_id, l.quantity having sum(r.quantity) > l.quantity
    """,
    "shipped_within_line": """
        select order_item_id from {{ source('raw', 'shipment_items') }} as s
        join {{ source('raw', 'order_items') }} as l using (order_item_id)
        where s.cancelled_at is null group by order_item_id, l.quantity having sum(s.quantity) > l.quantity
    """,
    "stock_explained": """
        select product_id, warehouse_id from {{ source('raw', 'inventory') }} as i left join (
            select product_id, warehouse_id, sum(quantity) as moved from {{ source('raw', 'inventory_movements') }}
            where kind in ('receipt', 'shipment', 'return', 'adjustment') group by product_id, warehouse_id
        ) as m using (product_id, warehouse_id) where i.on_hand <> coalesce(m.moved, 0)
    """,
}
_TESTS: Final = """
{% test unique_key(model, columns) %}
select {{ columns | join(', ') }} from {{ model }} group by {{ columns | join(', ') }} having count(*) > 1
{% endtest %}
{% test holds(model, rule) %}
select * from {{ model }} where not ({{ rule }})
{% endtest %}
"""


def write(folder: Path, shop: str, tables: Sequence[str], sources: Path) -> int:
    """Write the project.

    Args:
        folder: is made for it.
        shop: the shop's URL.
        tables: those that are copied.
        sources: the folder that says what the shop's amounts are.

    Returns:
        How many tests it has.
    """
    with psycopg.connect(shop, row_factory=dict_row) as connection:
        copied: list[dict[str, Any]] = [
            {"name": one, "data_tests": list(_tests_of(connection, one, tables))} for one in tables
        ]
    models: list[dict[str, Any]] = [{"name": one, "data_tests": list(_tests_of_model(one))} for one in NAMES]
    for name in NAMES:
        _put(folder / "models" / f"{name}.sql", _model(name, tables, ShopFile.of(sources).decimals))
    for rule, statement in _OF_SEVERAL_ROWS.items():
        _put(folder / "tests" / f"{rule}.sql", statement)
    _put_yaml(folder / "models" / "schema.yml", {"sources": [{"name": COPIED, "tables": copied}], "models": models})
    _put(folder / "tests" / "generic" / "tests.sql", _TESTS)
    _put_yaml(
        folder / "dbt_project.yml",
        {
            "name": "bench", "version": "1.0", "profile": "bench",
            "models": {"bench": {"+materialized": "table", "+pre-hook": f"set timezone = '{TIMEZONE}'"}},
            "flags": {"send_anonymous_usage_stats": False},
        },
    )  # fmt: skip
    where = {part: f"{{{{ env_var('BENCH_{part.upper()}') }}}}" for part in ("host", "user", "password", "dbname")}
    port = "{{ env_var('BENCH_PORT') | as_number }}"
    _put_yaml(
        folder / "profiles.yml",
        {
            "bench": {
                "target": "bench",
                "outputs": {"bench": {"type": "postgres", "schema": BUILT, "threads": 2, "port": port, **where}},
            }
        },
    )
    return sum(len(one["data_tests"]) for one in (*copied, *models)) + len(_OF_SEVERAL_ROWS)


def _model(name: str, tables: Sequence[str], decimals: int) -> str:
    """A statement of ``sql/`` that reads what was copied, with the contract's types and its key."""
    query = re.sub(r"\bplain\.(\w+)", r"{{ ref('\1') }}", (FOLDER / f"{name}.sql").read_text())
    query = re.sub(
        rf"\b(from|join)\s+({'|'.join(tables)})\b(?! *[.(])(?P<alias>\s+as\s+\w+)?",
        lambda found: f"{found[1]} {{{{ source('{COPIED}', '{found[2]}') }}}}{found['alias'] or f' as {found[2]}'}",
        query,
    )
    query = query.replace("%(as_of)s", "'{{ var(\"as_of\") }}'")
    query = query.replace("%(active_days)s", str(PARAMETERS.active_days))
    query = query.replace("%(lapsed_days)s", str(PARAMETERS.lapsed_days))
    table = TABLES[name].table.typed({}, decimals)
    columns = ", ".join(f"{column.name}::{column.postgres} as {column.name}" for column in table.columns)
    key = f"alter table {{{{ this }}}} add primary key ({', '.join(table.primary_key)})"
    hooks = json.dumps([key, "analyze {{ this }}"])
    return f"{{{{ config(post_hook={hooks}) }}}}\nselect {columns} from (\n{query}\n) as made\n"


def _tests_of(connection: psycopg.Connection[Any], table: str, tables: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What the shop's schema promises of a table."""
    for row in connection.execute(_NOT_NULL, [table]):
        yield _holds(f"{row['column']} is not null")
    for row in connection.execute(_CONSTRAINTS, [table]):
        if row["kind"] in ("p", "u"):
            yield _unique(row["columns"])
        elif row["kind"] == "c":
            yield _holds(re.sub(r"^CHECK ", "", row["definition"]))
        elif row["parent"] in tables:
            [column] = row["columns"]
            (key,) = re.findall(r"\((\w+)\)$", row["definition"])
            to = f"source('{COPIED}', '{row['parent']}')"
            yield {"relationships": {"column_name": column, "arguments": {"to": to, "field": key}}}


def _tests_of_model(name: str) -> Iterator[dict[str, Any]]:
    table = TABLES[name].table
    yield _unique(table.primary_key)
    for column in table.columns:
        if not column.nullable:
            yield _holds(f"{column.name} is not null")


def _holds(rule: str) -> dict[str, Any]:
    return {"holds": {"arguments": {"rule": rule}}}


def _unique(columns: Sequence[str]) -> dict[str, Any]:
    return {"unique_key": {"arguments": {"columns": list(columns)}}}


def _put(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def _put_yaml(file: Path, content: Mapping[str, Any]) -> None:
    _put(file, yaml.safe_dump(dict(content), sort_keys=False))
