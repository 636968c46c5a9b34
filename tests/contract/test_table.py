"""A declaration that contradicts itself is refused, and the message names table and column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from include.contract import Column, ContractError, Derived, Rebuild, Source, Table, Type
from include.contract.rules import Condition, between, equal, filled
from include.contract.table import key

ID = Column("visit_id", Type.INTEGER, "The visit.")
SEEN = Column("updated_at", Type.AT, "When it was written.")
PAID = Column("paid", Type.CENTS, "What was paid; null when nothing was.", nullable=True)
PLAIN: dict[str, Any] = {
    "schema": "reporting",
    "name": "visits",
    "grain": "One row per visit.",
    "columns": (ID, PAID),
    "primary_key": ("visit_id",),
}
READ: dict[str, Any] = {**PLAIN, "schema": "source", "columns": (ID, PAID, SEEN)}


def table(**changes: Any) -> Table:
    return Table(**{**PLAIN, **changes})


def source(**changes: Any) -> Source:
    return Source(**{**READ, **changes})


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "column in capitals": (lambda: Column("Paid", Type.CENTS, "Money."), "column 'Paid': a name is lower-case"),
    "column with a blank": (lambda: Column("paid to", Type.CENTS, "Money."), "column 'paid to'"),
    "column with a quote": (lambda: Column('paid"; drop', Type.CENTS, "Money."), "a name is lower-case snake_case"),
    "column without meaning": (lambda: Column("paid", Type.CENTS, ""), "column paid: say what it means"),
    "optional without a default": (
        lambda: Column("paid", Type.CENTS, "Money.", optional=True),
        "column paid: an optional column that is never null needs a default",
    ),
    "a default that is always given": (
        lambda: Column("paid", Type.CENTS, "Money.", default=0),
        "column paid: a default is a number, of an optional column",
    ),
    "a default of a text": (
        lambda: Column("name", Type.TEXT, "Name.", optional=True, default=0),
        "column name: a default is a number, of an optional column",
    ),
    "part of nothing": (
        lambda: Column("order_id", Type.INTEGER, "The order.", part_of=True),
        "column order_id: part_of needs key_of",
    ),
    "part by another name": (
        lambda: Column("line_id", Type.INTEGER, "L.", key_of="order_items", key_name="order_item_id", part_of=True),
        "column line_id: key_name is of a key, and a part holds it by its own name",
    ),
    "rebuild unheard of": (lambda: Rebuild("sometimes"), "rebuild 'sometimes'"),
    "rebuild by nothing": (lambda: Rebuild("by"), "rebuild 'by' with column None"),
    "rebuild everything of an earlier day": (lambda: Rebuild("full", None, 7), "only a slice lies earlier"),
    "rebuild a slice to come": (lambda: Rebuild.as_of("day", lag_days=-1), "a lag of -1 days"),
    "rebuild full with a column": (lambda: Rebuild("full", "day"), "rebuild 'full' with column 'day'"),
    "rebuild through an input without a column": (
        lambda: Rebuild.by("day", orders="order_id@refunds"),
        r"orders goes through \['refunds'\], which is not declared to hold a value",
    ),
    "rebuild filled from an input without a column": (
        lambda: Rebuild.by("day", orders="order_id@refunds", refunds="day", filled="currency@orders"),
        "filled from 'currency@orders': a column of the input's own says from which day",
    ),
    "rebuild filled from no input": (lambda: Rebuild.by("day", filled="currency"), "filled from 'currency'"),
    "unknown schema": (lambda: table(schema="marts"), "visits: unknown schema 'marts'"),
    "table in capitals": (lambda: table(name="Visits"), "table 'Visits': a name is lower-case"),
    "no grain": (lambda: table(grain="All visits."), "visits: the grain starts with"),
    "no key": (lambda: table(primary_key=()), "visits: no primary key"),
    "undeclared key": (lambda: table(primary_key=("day",)), "visits: primary key column 'day' is not declared"),
    "nullable key": (lambda: table(primary_key=("paid",)), r"visits\.paid: a primary key is never null"),
    "undeclared rebuild column": (
        lambda: table(rebuild=Rebuild.by("day")),
        "visits: rebuild column 'day' is not declared",
    ),
    "column twice": (lambda: table(columns=(ID, PAID, PAID)), "visits: column declared twice: paid_cents"),
    "column twice by its lake name": (
        lambda: table(columns=(ID, PAID, Column("paid_cents", Type.INTEGER, "The same?"))),
        "visits: column declared twice: paid_cents",
    ),
    "rule twice": (
        lambda: table(rules=(between("paid_cents", "paid_sane", "Sane.", least=0),) * 2),
        "visits: rule declared twice: paid_sane",
    ),
    "rule named like an implied one": (
        lambda: table(rules=(filled("visit_id", "visit_id_filled", "It has one."),)),
        "visits: rule declared twice: visit_id_filled",
    ),
    "rule on an unknown column": (
        lambda: table(rules=(equal("paid_cents", "due_cents", "paid_what_is_due", "Paid."),)),
        r"visits: rule paid_what_is_due reads unknown columns \['due_cents'\]",
    ),
    "rule on a column by its Postgres name": (
        lambda: table(rules=(between("paid", "paid_sane", "Sane.", least=0),)),
        r"visits: rule paid_sane reads unknown columns \['paid'\]",
    ),
    "rule with a condition on an unknown column": (
        lambda: table(rules=(filled("paid_cents", "paid_known", "Known.", Condition("state", "paid")),)),
        r"visits: rule paid_known reads unknown columns \['state'\]",
    ),
    "source elsewhere": (lambda: source(schema="reporting"), "visits: a Source lives in the schema 'source'"),
    "source without its watermark": (lambda: source(columns=(ID, PAID)), r"visits: .* \['updated_at'\]"),
    "source that begins on an unknown day": (lambda: source(begins="seen_on"), r"visits: .* \['seen_on'\]"),
    "source with an unknown later column": (
        lambda: source(later={"updated_at": ("left_at",)}),
        r"visits: .* \['left_at'\]",
    ),
    "source that derives a column it has": (
        lambda: source(derived=(Derived(PAID, "row.paid_cents"),)),
        "visits: column declared twice: paid_cents",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("declare", "message"), REFUSED.values(), ids=REFUSED)
def test_a_contradiction_is_refused(declare: Callable[[], object], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        declare()


def test_what_the_contradictions_start_from_is_sound() -> None:
    assert table().qualified_name == "reporting.visits"
    assert source().qualified_name == "source.visits"


def test_a_declaration_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        table().name = "orders"  # type: ignore[misc]


def test_a_column_is_found_by_name_or_the_error_says_where() -> None:
    assert table()["paid"] is PAID
    with pytest.raises(KeyError, match="visits has no column 'due'"):
        table()["due"]


def test_amounts_carry_their_unit_in_the_lake_only() -> None:
    assert [(column.name, column.lake_name) for column in table().columns] == [
        ("visit_id", "visit_id"),
        ("paid", "paid_cents"),
    ]


def test_a_table_has_one_row_per_key_and_no_hole_without_saying_so() -> None:
    assert [rule.name for rule in table().all_rules] == ["one_row_per_key", "visit_id_filled"]


def test_a_source_is_readable_and_its_keys_exist() -> None:
    rated = source(columns=(ID, SEEN, key("customers", "customer_id", "Who came.", nullable=True)))
    assert [rule.name for rule in rated.all_rules] == [
        "readable",
        "one_row_per_key",
        "visit_id_filled",
        "updated_at_filled",
        "customer_exists",
    ]
    assert [column.name for column in rated.lake_columns] == [
        "visit_id", "updated_at", "customer_id", "customer_exists",
    ]  # fmt: skip
    assert rated.all_rules[-1].reads == {"customer_id", "customer_exists"}


def test_a_key_has_the_type_its_source_declares_wherever_it_is_held() -> None:
    visits = table(columns=(ID, key("customers", "customer_id", "Who came."), PAID))
    typed = visits.typed({"visits": Type.UUID, "customers": Type.TEXT, "orders": Type.UUID})
    assert [column.type for column in typed.columns] == [Type.UUID, Type.TEXT, Type.CENTS]
    assert [column.type for column in visits.columns] == [Type.INTEGER, Type.INTEGER, Type.CENTS]
    assert typed == replace(visits, columns=typed.columns)


def test_a_key_no_source_speaks_of_stays_as_declared() -> None:
    assert table().typed({"orders": Type.UUID}) == table()


def test_the_parts_of_a_compound_key_follow_their_own_sources() -> None:
    stock = table(
        columns=(key("products", "product_id", "The product."), key("warehouses", "warehouse_id", "The warehouse.")),
        primary_key=("product_id", "warehouse_id"),
    )
    typed = stock.typed({"visits": Type.TEXT, "products": Type.UUID})
    assert [column.type for column in typed.columns] == [Type.UUID, Type.INTEGER]
