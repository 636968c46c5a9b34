"""Plants defects into the shop and heals them.

``stocktake_demo.planted_defects`` (one row per changed row of the shop) and ``stocktake_demo.dropped_constraints``
record the changes, so that another process can undo them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString

from psycopg import Connection, sql
from psycopg.types.json import Jsonb

from include.demo_shop.constraints import allow_null, drop_constraint, open_notebook, restore_constraints
from include.demo_shop.defects import DEFECTS, MISSING_KEY, Defect
from include.demo_shop.schema import KeyType, key_type

_NOTEBOOK: Final = """
create schema if not exists stocktake_demo;
create table if not exists stocktake_demo.planted_defects (
    planted_id bigint generated always as identity primary key,
    name text not null,
    source text not null,
    key text not null,
    planted_at timestamptz not null,
    undo jsonb not null
);
"""


_WRITTEN_NOW: Final = {"updated_at": "now()"}
_MISSING_KEYS: Final[dict[KeyType, str]] = {
    "integer": "900000001",
    "text": "'missing-900000001'",
    "uuid": "md5('missing-900000001')::uuid",
}


@dataclass(frozen=True)
class _Table:
    """How victims of a table are found.

    Attributes:
        keys: its primary key.
        rows: the from clause, with the alias ``victim``.
        family: what the row belongs to, as text; no two defects touch the same family.
        recent: the order by clause; the first is taken.
        currency: of the row's amounts: a defect changes cents, which not every currency has.
    """

    keys: tuple[str, ...]
    rows: LiteralString
    family: LiteralString
    recent: LiteralString
    currency: LiteralString = "'EUR'"


_TABLES: Final = {
    "orders": _Table(
        ("order_id",),
        "orders as victim",
        "'order ' || victim.order_id",
        "victim.ordered_at desc, victim.order_id",
        "victim.currency",
    ),
    "order_items": _Table(
        ("order_item_id",),
        "order_items as victim join orders as parent on parent.order_id = victim.order_id",
        "'order ' || victim.order_id",
        "parent.ordered_at desc, victim.order_item_id",
        "parent.currency",
    ),
    "refunds": _Table(
        ("refund_id",),
        """
        refunds as victim
        join order_items as line on line.order_item_id = victim.order_item_id
        join orders as parent on parent.order_id = line.order_id
        """,
        "'order ' || line.order_id",
        "victim.refunded_at desc, victim.refund_id",
        "parent.currency",
    ),
    "order_refunds": _Table(
        ("order_refund_id",),
        "order_refunds as victim left join orders as parent on parent.order_id = victim.order_id",
        "coalesce('order ' || victim.order_id, 'refund of no order ' || victim.order_refund_id)",
        "victim.refunded_at desc, victim.order_refund_id",
        "victim.currency",
    ),
    "payments": _Table(
        ("transaction_id",),
        "payments as victim join orders as parent on parent.order_id = victim.order_id",
        "'order ' || victim.order_id",
        "parent.ordered_at desc, victim.transaction_id",
        "victim.currency",
    ),
    "shipment_items": _Table(
        ("shipment_item_id",),
        """
        shipment_items as victim
        join order_items as line on line.order_item_id = victim.order_item_id
        join orders as parent on parent.order_id = line.order_id
        """,
        "'order ' || line.order_id",
        "victim.shipped_at desc, victim.shipment_item_id",
    ),
    "inventory": _Table(
        ("product_id", "warehouse_id"),
        "inventory as victim",
        "'product ' || victim.product_id",
        "victim.product_id desc, victim.warehouse_id",
    ),
    "inventory_movements": _Table(
        ("movement_id",),
        "inventory_movements as victim",
        "'movement ' || victim.movement_id",
        "victim.updated_at desc, victim.movement_id",
    ),
    "purchase_order_lines": _Table(
        ("purchase_order_line_id",),
        "purchase_order_lines as victim",
        "'purchase ' || victim.purchase_order_line_id",
        "victim.updated_at desc, victim.purchase_order_line_id",
    ),
    "kit_components": _Table(
        ("product_id", "component_id"),
        "kit_components as victim",
        "'component ' || victim.product_id || ' ' || victim.component_id",
        "victim.product_id desc, victim.component_id",
    ),
    # The customer and the product with the fewest orders: their rows take the fewest others into quarantine.
    "customers": _Table(
        ("customer_id",),
        """
        customers as victim
        left join (select customer_id, count(*) as times from orders group by customer_id) as used
            on used.customer_id = victim.customer_id
        """,
        "'customer ' || victim.customer_id",
        "coalesce(used.times, 0), victim.created_at desc, victim.customer_id",
    ),
    "products": _Table(
        ("product_id",),
        """
        products as victim
        left join (select product_id, count(*) as times from order_items group by product_id) as used
            on used.product_id = victim.product_id
        """,
        "'product ' || victim.product_id",
        "coalesce(used.times, 0), victim.product_id",
    ),
}


class UnknownDefect(Exception):
    """No defect has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no defect {name!r}; there are {', '.join(DEFECTS)}")


class AlreadyPlanted(Exception):
    """A defect is planted once; heal it first."""


class NoVictim(Exception):
    """The shop holds no row that the defect could be planted in."""


@dataclass(frozen=True)
class Planted:
    """A row of the shop that carries a defect now; keys of several columns are joined by ``/``."""

    name: str
    source: str
    key: str


def plant(connection: Connection[Any], names: Iterable[str]) -> list[Planted]:
    """Plant each of these defects in one row, in the caller's transaction.

    Raises:
        UnknownDefect, AlreadyPlanted, NoVictim: and the transaction should be rolled back.
    """
    connection.execute(_NOTEBOOK)
    open_notebook(connection)
    done = []
    for name in names:
        if name not in DEFECTS:
            raise UnknownDefect(name)
        if any(planted.name == name for planted in planted_defects(connection)):
            raise AlreadyPlanted(f"{name} is planted already")
        done.append(_plant(connection, DEFECTS[name]))
    return done


def planted_defects(connection: Connection[Any]) -> list[Planted]:
    """What is planted, in the order in which it was."""
    if not _has_notebook(connection):
        return []
    rows = connection.execute("select name, source, key from stocktake_demo.planted_defects order by planted_id")
    return [Planted(*row) for row in rows]


def unplant(connection: Connection[Any]) -> list[Planted]:
    """Heal everything that was planted, in the caller's transaction, and put the constraints back.

    Changed rows get their values back and a fresh updated_at; added rows are deleted.
    """
    healed = planted_defects(connection)
    if not _has_notebook(connection):
        return healed
    undos = connection.execute(
        "select source, (undo -> 'row')::text, undo -> 'identity', undo -> 'restore'"
        " from stocktake_demo.planted_defects order by planted_id desc"
    ).fetchall()
    for source, row, identity, restore in undos:
        _heal(connection, source, row, identity, restore)
    connection.execute("delete from stocktake_demo.planted_defects")
    restore_constraints(connection)
    return healed


def _plant(connection: Connection[Any], defect: Defect) -> Planted:
    table = _TABLES[defect.source]
    row, key, family = _victim(connection, defect)
    for constraint in defect.drops:
        drop_constraint(connection, defect.source, constraint)
    for column in defect.nullable:
        allow_null(connection, defect.source, column)
    undo: dict[str, Any] = {"family": family, "identity": table.keys, "restore": list(defect.change)}
    if defect.change:
        _change(connection, defect, row)
    else:
        row, key = _add(connection, defect, row)
        if defect.keeps_key:  # its extra values distinguish it from its twin
            undo["identity"] = (*table.keys, *defect.extra)
    connection.execute(
        "insert into stocktake_demo.planted_defects (name, source, key, planted_at, undo)"
        " values (%s, %s, %s, clock_timestamp(), jsonb_build_object('row', %s::jsonb) || %s)",
        [defect.name, defect.source, key, row, Jsonb(undo)],
    )
    return Planted(defect.name, defect.source, key)


def _victim(connection: Connection[Any], defect: Defect) -> tuple[str, str, str]:
    """The row that a defect hits: as JSON text (exact, unlike floats), its key, and its family."""
    table = _TABLES[defect.source]
    find = sql.SQL(
        """
        select to_jsonb(victim)::text, {key}, {family}
        from {rows}
        where ({where})
            and {currency} in ('EUR', 'USD')
            and not exists (
                select from stocktake_demo.planted_defects as planted
                where planted.undo ->> 'family' = {family} or (planted.source, planted.key) = ({source}, {key})
            )
        order by {recent}
        limit 1
        """
    ).format(
        source=sql.Literal(defect.source),
        key=_key_text(table.keys, "victim"),
        family=sql.SQL(table.family),
        rows=sql.SQL(table.rows),
        where=_trusted(defect.where),
        currency=sql.SQL(table.currency),
        recent=sql.SQL(table.recent),
    )
    victim: tuple[str, str, str] | None = connection.execute(find).fetchone()
    if victim is None:
        raise NoVictim(f"the shop holds no row of {defect.source} to plant {defect.name} in")
    return victim


def _change(connection: Connection[Any], defect: Defect, row: str) -> None:
    keys = key_type(connection)
    assignments = [
        sql.SQL("{} = {}").format(sql.Identifier(column), _value(value, keys))
        for column, value in (dict(defect.change) | _WRITTEN_NOW).items()
    ]
    connection.execute(
        sql.SQL("update {} set {} where {}").format(
            sql.Identifier(defect.source),
            sql.SQL(", ").join(assignments),
            _is_row(defect.source, _TABLES[defect.source].keys),
        ),
        {"row": row},
    )


def _add(connection: Connection[Any], defect: Defect, row: str) -> tuple[str, str]:
    """Add a row like `row`; return it as JSON text, and its key."""
    keys = _TABLES[defect.source].keys
    kind = key_type(connection)
    values = {column: _value(value, kind) for column, value in (dict(defect.extra) | _WRITTEN_NOW).items()}
    found = connection.execute("select jsonb_object_keys(%s::jsonb)", [row])
    columns = [name for (name,) in found if defect.keeps_key or name not in keys]
    statement = sql.SQL(
        "insert into {table} ({columns}) select {values} from jsonb_populate_record(null::{table}, %(row)s::jsonb)"
        " returning to_jsonb({table})::text, {key}"
    ).format(
        table=sql.Identifier(defect.source),
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        values=sql.SQL(", ").join(values.get(name, sql.Identifier(name)) for name in columns),
        key=_key_text(keys, defect.source),
    )
    added: tuple[str, str] | None = connection.execute(statement, {"row": row}).fetchone()
    if added is None:
        raise RuntimeError(f"no row was added for {defect.name}")
    return added


def _heal(connection: Connection[Any], source: str, row: str, identity: Sequence[str], restore: Sequence[str]) -> None:
    table = sql.Identifier(source)
    if restore:
        statement = sql.SQL(
            """
            update {table} set ({columns}, updated_at) = (
                select {columns}, now() from jsonb_populate_record(null::{table}, %(row)s::jsonb)
            )
            where {is_row}
            """
        ).format(
            table=table,
            columns=sql.SQL(", ").join(map(sql.Identifier, restore)),
            is_row=_is_row(source, identity),
        )
        connection.execute(statement, {"row": row})
        return
    connection.execute(sql.SQL("delete from {} where {}").format(table, _is_row(source, identity)), {"row": row})
    # The twin of a deleted duplicate is correct; its new updated_at makes the next night read it again.
    twin = sql.SQL("update {} set updated_at = now() where {}").format(table, _is_row(source, _TABLES[source].keys))
    connection.execute(twin, {"row": row})


def _is_row(source: str, identity: Sequence[str]) -> sql.Composed:
    """The condition that a row has the same values in these columns as the parameter ``row``."""
    columns = sql.SQL(", ").join(map(sql.Identifier, identity))
    return sql.SQL("({columns}) = (select {columns} from jsonb_populate_record(null::{table}, %(row)s::jsonb))").format(
        columns=columns, table=sql.Identifier(source)
    )


def _key_text(keys: Sequence[str], table: str) -> sql.Composed:
    parts = [sql.SQL("{}::text").format(sql.Identifier(table, key)) for key in keys]
    return sql.SQL(" || '/' || ").join(parts)


def _value(expression: str, keys: KeyType) -> sql.SQL:
    return _trusted(expression.replace(MISSING_KEY, _MISSING_KEYS[keys]))


def _trusted(expression: LiteralString) -> sql.SQL:
    """SQL of ``defects``: ours, never a user's."""
    return sql.SQL(expression)


def _has_notebook(connection: Connection[Any]) -> bool:
    row = connection.execute("select to_regclass('stocktake_demo.planted_defects') is not null").fetchone()
    return bool(row and row[0])
