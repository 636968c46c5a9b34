"""Every kind of change of the declarations, with what may be done before the next night has brought everything to it.

A change is made in the process, to the registries that all code reads, and in a folder of SQL of its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

import narwhals as nw
import pytest

from include.contract import Column, Derived, Dimensions, Rebuild, Source, Table, Type
from include.contract.rules import between
from include.contract.table import key
from include.settings import settings
from include.sources import SOURCES
from transforms.engines import Frame
from transforms.known_customers import of_known_customers
from transforms.registry import TABLES, Published

_SOURCES, _TABLES = cast("dict[str, Source]", SOURCES), cast("dict[str, Published]", TABLES)


@dataclass(frozen=True)
class Declarations:
    """What is declared, to be changed; all of it is as it was when the test ends."""

    patch: pytest.MonkeyPatch
    folder: Path

    def source(self, name: str, **fields: Any) -> None:
        """Declare fields of a source otherwise."""
        self.patch.setitem(_SOURCES, name, replace(_SOURCES[name], **fields))

    def table(self, name: str, build: Callable[..., Frame] | None = None, **fields: Any) -> None:
        """Declare fields of a table otherwise, and how it is built."""
        one = TABLES[name]
        self.patch.setitem(_TABLES, name, Published(replace(one.table, **fields), build or one.build))

    def add_table(self, table: Table, build: Callable[..., Frame]) -> None:
        """Declare a table more."""
        self.patch.setitem(_TABLES, table.name, Published(table, build))

    def drop_table(self, name: str) -> None:
        """Declare a table less."""
        self.patch.delitem(_TABLES, name)

    def sql(self, source: str, old: str, new: str) -> None:
        """Change the shop's SQL."""
        file = self.folder / f"{source}.sql"
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new, 1))

    def key_types(self, **types: str) -> None:
        """Declare the types of keys."""
        lines = "".join(f'{name} = "{kind}"\n' for name, kind in types.items())
        (self.folder / "keys.toml").write_text(lines)


@dataclass(frozen=True)
class Kind:
    """A kind of change.

    Attributes:
        name: what changes, as the page of the matrix calls it.
        make: makes the change.
        before: makes what is declared when the night before runs; as it is, where nothing is said.
        refused: why replay and features wait for the night; None where they run.
        names: the tables that are built, beside a few.
        gone: tables that are there before and no more after.
        past: why the night before cannot be put back; None where it can.
        otherwise: the tables that are put back in other columns or types than they had.
    """

    name: str
    make: Callable[[Declarations], None]
    before: Callable[[Declarations], None] | None = None
    refused: str | None = None
    names: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    past: str | None = None
    otherwise: tuple[str, ...] = ()


_NOTE = Column("note", Type.TEXT, "What the payment provider calls it; null before payment.", nullable=True)


def _with_column(columns: Iterable[Column], *more: Column) -> tuple[Column, ...]:
    return (*columns, *more)


def _without(columns: Iterable[Column], *names: str) -> tuple[Column, ...]:
    return tuple(column for column in columns if column.name not in names)


def _with(columns: Iterable[Column], which: str, /, **fields: Any) -> tuple[Column, ...]:
    return tuple(replace(column, **fields) if column.name == which else column for column in columns)


def _add_source_column(declared: Declarations) -> None:
    declared.source("orders", columns=_with_column(SOURCES["orders"].columns, _NOTE))
    declared.sql("orders", "payment_id,", "payment_id,\n    payment_id as note,")


def _drop_source_column(declared: Declarations) -> None:
    declared.source("orders", columns=_without(SOURCES["orders"].columns, "payment_id"))
    declared.sql("orders", "payment_id,", "")


def _rename_source_column(declared: Declarations) -> None:
    columns = _with(SOURCES["orders"].columns, "payment_id", name="payment_reference")
    declared.source("orders", columns=columns)
    declared.sql("orders", "payment_id,", "payment_id as payment_reference,")


def _retype_source_column(declared: Declarations) -> None:
    declared.source("inventory", columns=_with(SOURCES["inventory"].columns, "reorder_point", type=Type.TEXT))


def _require_source_column(declared: Declarations) -> None:
    declared.source("orders", columns=_with(SOURCES["orders"].columns, "shipping_address", nullable=False))


def _let_source_column_be_null(declared: Declarations) -> None:
    declared.source("customers", columns=_with(SOURCES["customers"].columns, "created_at", nullable=True))


def _add_derived_column(declared: Declarations) -> None:
    column = Column("weight", Type.INTEGER, "A third of the quantity.", nullable=True)
    derived = (*SOURCES["order_items"].derived, Derived(column, "row.quantity // 3"))
    declared.source("order_items", derived=derived)


def _change_key_type(declared: Declarations) -> None:
    declared.key_types(products="text")


def _move_time_zone(declared: Declarations) -> None:
    declared.patch.setenv("STOCKTAKE_TIMEZONE", "Asia/Tokyo")
    settings.cache_clear()


def _tighten_rule(declared: Declarations) -> None:
    fewer = between("quantity", "quantity_credible", "A line has at most four units.", most=4)
    rules = tuple(fewer if rule.name == fewer.name else rule for rule in SOURCES["order_items"].rules)
    declared.source("order_items", rules=rules, tolerance=1.0)
    for name in ("orders", "refunds", "order_refunds", "payments", "shipment_items"):
        declared.source(name, tolerance=1.0)


def _add_rule(declared: Declarations) -> None:
    """Not of products: their versions stay what past nights accepted, which a shop started anew does not have."""
    rule = between("discount_cents", "discount_small", "An order has at most ten off.", most=1000)
    declared.source("orders", rules=(*SOURCES["orders"].rules, rule), tolerance=1.0)
    for name in ("order_items", "refunds", "order_refunds", "payments", "shipment_items"):
        declared.source(name, tolerance=1.0)


def _drop_rule(declared: Declarations) -> None:
    declared.source("order_items", rules=_ORDER_ITEM_RULES, tolerance=0.02)


_ORDER_ITEM_RULES: Final = SOURCES["order_items"].rules


def _note(orders: Frame, order_lines: Frame, order_refunds: Frame, dimensions: Dimensions) -> Frame:
    """What ``reporting.orders`` is, and twice the units."""
    rows = TABLES_AS_THEY_ARE["orders"].build(orders, order_lines, order_refunds, dimensions)
    return rows.with_columns(mark=nw.col("units") * 2)


TABLES_AS_THEY_ARE: Final[Mapping[str, Published]] = dict(TABLES)
SOURCES_AS_THEY_ARE: Final[Mapping[str, Source]] = dict(SOURCES)
_ORDERS: Final = TABLES["orders"].table
_MARK = Column("mark", Type.INTEGER, "Twice the units.")


def _add_table_column(declared: Declarations) -> None:
    declared.table("orders", _note, columns=_with_column(_ORDERS.columns, _MARK))


def _drop_table_column(declared: Declarations) -> None:
    declared.table("orders", _without_hours, columns=_without(_ORDERS.columns, "hours_to_ship"))


def _without_hours(orders: Frame, order_lines: Frame, order_refunds: Frame, dimensions: Dimensions) -> Frame:
    return TABLES_AS_THEY_ARE["orders"].build(orders, order_lines, order_refunds, dimensions).drop("hours_to_ship")


def _rename_table_column(declared: Declarations) -> None:
    columns = _with(_ORDERS.columns, "hours_to_deliver", name="hours_under_way")
    declared.table("orders", _with_hours_under_way, columns=columns)


def _with_hours_under_way(orders: Frame, order_lines: Frame, order_refunds: Frame, dimensions: Dimensions) -> Frame:
    return (
        TABLES_AS_THEY_ARE["orders"]
        .build(orders, order_lines, order_refunds, dimensions)
        .rename({"hours_to_deliver": "hours_under_way"})
    )


def _retype_table_column(declared: Declarations) -> None:
    declared.table("orders", _with_whole_hours, columns=_with(_ORDERS.columns, "hours_to_ship", type=Type.INTEGER))


def _with_whole_hours(orders: Frame, order_lines: Frame, order_refunds: Frame, dimensions: Dimensions) -> Frame:
    rows = TABLES_AS_THEY_ARE["orders"].build(orders, order_lines, order_refunds, dimensions)
    return rows.with_columns(hours_to_ship=nw.col("hours_to_ship").round(0).cast(nw.Int64))


def _let_table_column_be_null(declared: Declarations) -> None:
    declared.table("orders", columns=_with(_ORDERS.columns, "item_count", nullable=True))


def _require_table_column(declared: Declarations) -> None:
    declared.table("orders", columns=_ORDERS.columns)


def _change_rebuild(declared: Declarations) -> None:
    declared.table("orders", rebuild=Rebuild.full())


_ACTIVITY: Final = TABLES["customer_activity"].table


def _active(**frames: Any) -> Frame:
    rows = TABLES_AS_THEY_ARE["customer_activity"].build(**frames)
    return rows.with_columns(mark=nw.col("frequency") * 2)


def _add_feature(declared: Declarations) -> None:
    import inspect

    _active.__signature__ = inspect.signature(TABLES_AS_THEY_ARE["customer_activity"].build)  # type: ignore[attr-defined]
    declared.table("customer_activity", _active, columns=_with_column(_ACTIVITY.columns, _MARK))


_MOODS: Final = Table(
    schema="reporting",
    name="moods",
    grain="One row per status.",
    columns=(
        Column("status", Type.TEXT, "The status."),
        Column("orders", Type.INTEGER, "Orders with it."),
    ),
    primary_key=("status",),
)


def _moods(reporting_orders: Frame) -> Frame:
    return reporting_orders.group_by("status").agg(nw.len().alias("orders"))


def _moods_by_customer(reporting_orders: Frame) -> Frame:
    return of_known_customers(reporting_orders).group_by(["status", "customer_id"]).agg(nw.len().alias("orders"))


def _add_table(declared: Declarations) -> None:
    declared.add_table(_MOODS, _moods)


def _drop_table(declared: Declarations) -> None:
    declared.drop_table("moods")


def _change_grain(declared: Declarations) -> None:
    columns = (*_MOODS.columns, key("customers", "customer_id", "Who ordered."))
    finer = replace(
        _MOODS, grain="One row per status and customer.", columns=columns, primary_key=("status", "customer_id")
    )
    declared.drop_table("moods")
    declared.add_table(finer, _moods_by_customer)


def _lose_source(declared: Declarations) -> None:
    (declared.folder / "inventory.sql").unlink()


def _regain_source(declared: Declarations) -> None:
    shutil.copy(settings_folder() / "inventory.sql", declared.folder)


def _declare_dimensions(declared: Declarations) -> None:
    said = (
        '[home]\nsource = "customers"\ncolumn = "country"\nmeaning = "The country of the account."\n'
        '[category]\nsource = "products"\nmeaning = "The category of the product."\n'
        '[provider]\nsource = "orders"\nmeaning = "The first letter of the payment."\n'
    )
    with (declared.folder / "dimensions.toml").open("a") as file:
        file.write(said)
    declared.sql("orders", "payment_id,", "payment_id,\n    left(payment_id, 1) as provider,")


def _declare_dimensions_no_more(declared: Declarations) -> None:
    for name in ("dimensions.toml", "orders.sql"):
        shutil.copy(settings_folder() / name, declared.folder)


def _count_in_cents(declared: Declarations) -> None:
    """Two decimals, as before the shop sold in dinars; of these orders the gate holds what has three."""
    (declared.folder / "shop.toml").write_text("[money]\ndecimals = 2\n")
    for name in SOURCES_AS_THEY_ARE:
        declared.source(name, tolerance=1.0)


def _count_in_thousandths(declared: Declarations) -> None:
    (declared.folder / "shop.toml").write_text("[money]\ndecimals = 3\n")


def settings_folder() -> Path:
    """The demo shop's own folder of SQL."""
    from include.settings import ROOT

    return ROOT / "include" / "sources" / "demo_shop"


_MADE_OF_STOCK = ("inventory_daily",)
_DIMENSIONED = ("daily_sales", "daily_sales_by")
_CARRYING = ("reporting.orders", "reporting.order_lines")
_ORDERS_ALONE = ("reporting.orders",)
_NEW = "are not declared as when they were read"

KINDS: Final = (
    Kind("a source's column is added", _add_source_column, refused=f"{_NEW} .orders: column note is new"),
    Kind("a source's column is dropped", _drop_source_column, refused=f"{_NEW} .orders: column payment_id is gone"),
    Kind("a source's column is renamed", _rename_source_column, refused=f"{_NEW} .orders: column payment_reference"),
    Kind("a source's column is retyped", _retype_source_column, refused="column reorder_point is text, was integer"),
    Kind("a source's column is never null from now on", _require_source_column),
    Kind("a source's column may be null from now on", _let_source_column_be_null),
    Kind("a derived column is added", _add_derived_column, refused="order_items: derived column weight is new"),
    Kind(
        "a key's type changes",
        _change_key_type,
        refused="product_id is text, of the key, was integer, of the key",
        otherwise=("reporting.order_lines",),
    ),
    Kind("the time zone changes", _move_time_zone, refused="derived column ordered_on is another one"),
    Kind("a rule is added", _add_rule),
    Kind("a rule is tightened", _tighten_rule),
    Kind("a rule is loosened", _drop_rule, before=_tighten_rule),
    Kind("a table's column is added", _add_table_column, otherwise=_ORDERS_ALONE),
    Kind("a table's column is dropped", _drop_table_column, otherwise=_ORDERS_ALONE),
    Kind("a table's column is renamed", _rename_table_column, otherwise=_ORDERS_ALONE),
    Kind("a table's column is retyped", _retype_table_column, otherwise=_ORDERS_ALONE),
    Kind("a table's column may be null from now on", _let_table_column_be_null),
    Kind("a table's column is never null from now on", _require_table_column, before=_let_table_column_be_null),
    Kind("a feature is added", _add_feature),
    Kind("a table is added", _add_table, names=("moods",)),
    Kind(
        "a table is dropped",
        _drop_table,
        before=_add_table,
        names=("moods",),
        gone=("reporting.moods",),
    ),
    Kind("a table's rebuild changes", _change_rebuild),
    Kind(
        "a table's grain changes",
        _change_grain,
        before=_add_table,
        names=("moods",),
        past="reporting.moods: version 0 is of another grain: it has no customer_id",
    ),
    Kind(
        "a source vanishes",
        _lose_source,
        names=_MADE_OF_STOCK,
        refused="other sources than when it was read|order_items",
        gone=tuple(f"reporting.{name}" for name in _MADE_OF_STOCK),
    ),
    Kind(
        "a source appears",
        _regain_source,
        names=_MADE_OF_STOCK,
        before=_lose_source,
        refused="other sources than when it was read",
    ),
    Kind(
        "dimensions are declared",
        _declare_dimensions,
        names=_DIMENSIONED,
        refused=f"{_NEW} .*orders: column provider is new.*derived column customers_country is new",
        otherwise=_CARRYING,
    ),
    Kind(
        "dimensions are declared no more",
        _declare_dimensions_no_more,
        before=_declare_dimensions,
        names=_DIMENSIONED,
        refused=f"{_NEW} .*orders: column provider is gone",
        otherwise=_CARRYING,
    ),
    Kind(
        "amounts get more decimals",
        _count_in_thousandths,
        before=_count_in_cents,
        refused=f"{_NEW} .*orders: column subtotal is cents, 3 decimals",
        otherwise=_CARRYING,
    ),
)


def _make_many(declared: Declarations) -> None:
    """One change of every sort, in one day."""
    for make in (
        _add_source_column, _retype_source_column, _let_source_column_be_null, _add_derived_column, _add_rule,
        _tighten_rule, _add_and_retype_table_columns, _add_feature, _add_table,
    ):  # fmt: skip
        make(declared)


def _add_and_retype_table_columns(declared: Declarations) -> None:
    columns = _with(_with_column(_ORDERS.columns, _MARK), "hours_to_ship", type=Type.INTEGER)
    declared.table("orders", _with_mark_and_whole_hours, columns=_with(columns, "item_count", nullable=True))


def _with_mark_and_whole_hours(
    orders: Frame, order_lines: Frame, order_refunds: Frame, dimensions: Dimensions
) -> Frame:
    return _with_whole_hours(orders, order_lines, order_refunds, dimensions).with_columns(mark=nw.col("units") * 2)


def _take_many_back(declared: Declarations) -> None:
    """Everything is declared as it was: columns, rules and a table are dropped, types and nulls go back."""
    for name, source in SOURCES_AS_THEY_ARE.items():
        declared.patch.setitem(_SOURCES, name, source)
    for name, table in TABLES_AS_THEY_ARE.items():
        declared.patch.setitem(_TABLES, name, table)
    declared.drop_table("moods")
    for file in settings_folder().glob("*.sql"):
        shutil.copy(file, declared.folder)


def _change_key_type_and_time_zone(declared: Declarations) -> None:
    _change_key_type(declared)
    _move_time_zone(declared)


_BY_NAME: Final = {kind.name: kind for kind in KINDS}
# All mechanisms, several in one night: ``make test-long`` tries these, ``make changes`` each kind by itself as well.
SAMPLES: Final = (
    Kind(
        "many at once", _make_many, names=("moods",), otherwise=_ORDERS_ALONE,
        refused=f"{_NEW}.*order_items: derived column weight is new; inventory: column reorder_point is text",
    ),
    Kind(
        "many at once, taken back", _take_many_back, before=_make_many, names=("moods",), otherwise=_ORDERS_ALONE,
        gone=("reporting.moods",), refused=f"{_NEW}.*orders: column note is gone",
    ),
    Kind(
        "a key's type and the time zone change", _change_key_type_and_time_zone,
        otherwise=("reporting.order_lines",), refused="product_id is text, of the key, was integer",
    ),
    _BY_NAME["a table's grain changes"],
    _BY_NAME["a source vanishes"],
    _BY_NAME["a source appears"],
)  # fmt: skip
