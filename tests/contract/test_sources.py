"""What a shop's folder says: which sources it has, and what its keys are."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import duckdb
import pytest

from include.contract import ContractError, Rounding, Source, Type
from include.contract.definition import SourceDefinition
from include.contract.rules import Rule
from include.contract.types import day_number
from include.contributing.pages import SHOPS
from include.settings import ROOT
from include.sources import SOURCES, key_types, shop_sources

FOLDERS = [ROOT / "include" / "sources" / name for name in SHOPS]  # a shop of one's own may be beside them


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A shop with orders and customers."""
    for name in ("orders", "customers"):
        (tmp_path / f"{name}.sql").write_text("select 1 where updated_at >= :changed_since")
    return tmp_path


def test_a_shop_has_the_sources_it_has_sql_for_and_the_optional_ones(shop: Path) -> None:
    optional = ["refunds", "order_refunds", "payments", "shipment_items", "purchase_order_lines", "kit_components"]
    assert list(shop_sources(shop)) == ["customers", "orders", *optional]
    assert [name for name, source in SOURCES.items() if source.optional] == optional


def test_an_order_has_shipments_only_where_the_shop_records_them(shop: Path) -> None:
    def derived() -> str:
        return next(one.whole_sql for one in shop_sources(shop)["orders"].derived if one.column.name == "shipments")

    assert derived() == "null"
    (shop / "shipment_items.sql").write_text("select 1")
    assert "shipment_items" in derived()


def test_a_file_that_no_contract_knows_is_refused(shop: Path) -> None:
    (shop / "order_lines.sql").touch()
    (shop / "clients.sql").touch()
    with pytest.raises(
        ValueError, match=f"{re.escape(str(shop))}: clients.sql; order_lines.sql: perhaps order_items.sql"
    ):
        shop_sources(shop)


def test_keys_are_what_the_contracts_declare() -> None:
    declared = key_types(ROOT / "include" / "sources" / "demo_shop")
    assert set(declared) == set(SOURCES) - {"inventory", "kit_components"}  # whose key is of two, each another source's
    assert set(declared.values()) == {Type.INTEGER}


def test_a_shop_declares_its_own_keys(shop: Path) -> None:
    (shop / "keys.toml").write_text('orders = "uuid"\ncustomers = "text"\n')
    found = shop_sources(shop)
    assert (found["orders"]["order_id"].type, found["orders"]["customer_id"].type) == (Type.UUID, Type.TEXT)
    assert found["customers"]["customer_id"].type is Type.TEXT


@pytest.mark.parametrize(
    "line",
    ['baskets = "uuid"', 'orders = "float"', 'orders = "cents"', "orders = 1", 'inventory = "text"', "[orders]"],
)
def test_a_key_that_cannot_be_is_refused_and_the_file_named(shop: Path, line: str) -> None:
    (shop / "keys.toml").write_text(line)
    with pytest.raises(ValueError, match=f"{re.escape(str(shop / 'keys.toml'))}: .* a source and one of integer, text"):
        key_types(shop)


def test_a_keys_file_that_is_no_toml_is_named(shop: Path) -> None:
    (shop / "keys.toml").write_text("orders: uuid")
    with pytest.raises(ValueError, match=re.escape(str(shop / "keys.toml"))):
        key_types(shop)


def test_a_shop_says_how_its_amounts_are_rounded(shop: Path) -> None:
    exact = shop_sources(shop)["orders"]
    (shop / "shop.toml").write_text('[money]\nrounding = "half_even"\n')
    rounded = shop_sources(shop)["orders"]
    assert {column.rounding for column in exact.columns} == {None}
    assert {column.rounding for column in rounded.columns if column.type is Type.CENTS} == {Rounding.HALF_EVEN}
    changed = [
        (one.column.name, one.whole_sql == other.whole_sql)
        for one, other in zip(exact.derived, rounded.derived, strict=True)
    ]
    assert [name for name, is_same in changed if not is_same] == [
        "finer_amounts",
        "most_credible",
        "unit_to_spread",
        "parts_total",
        "lines_total",
        "lines_discount",
        "lines_tax",
    ]


@pytest.mark.parametrize(
    "said",
    [
        'rounding = "half_up"',
        '[money]\nrounding = "up"',
        "[money]",
        '[money]\nrounding = "half_up"\nper = "line"',
        "[m",
    ],
)
def test_a_shop_that_says_something_else_of_its_money_is_refused(shop: Path, said: str) -> None:
    (shop / "shop.toml").write_text(said)
    with pytest.raises(ValueError, match=re.escape(str(shop / "shop.toml"))):
        shop_sources(shop)


def test_a_shop_says_that_it_takes_backorders(shop: Path) -> None:
    (shop / "inventory.sql").touch()
    rules = {one.name for one in shop_sources(shop)["inventory"].rules}
    (shop / "shop.toml").write_text('[money]\nrounding = "half_up"\n[stock]\nbackorders = true\n')
    found = shop_sources(shop)
    assert rules - {one.name for one in found["inventory"].rules} == {"reserved_within_on_hand"}
    assert found["orders"]["total"].rounding is Rounding.HALF_UP
    (shop / "shop.toml").write_text("[stock]\nbackorders = false\n")
    assert {one.name for one in shop_sources(shop)["inventory"].rules} == rules
    (shop / "inventory.sql").unlink()
    (shop / "shop.toml").write_text("[stock]\nbackorders = true\n")
    assert "inventory" not in shop_sources(shop)


def test_a_shop_says_from_which_day_on_it_traded(shop: Path) -> None:
    def of_orders() -> Rule:
        return next(rule for rule in shop_sources(shop)["orders"].rules if rule.name == "ordered_in_our_time")

    assert (of_orders().meaning, of_orders().broken) == ("No order is before 1995-01-01.", "ordered_on < 9131")
    (shop / "shop.toml").write_text("[trade]\nfirst_day = 1969-12-30\n")
    assert (of_orders().meaning, of_orders().broken) == ("No order is before 1969-12-30.", "ordered_on < -2")


def test_a_shop_says_what_a_cancelled_order_is(shop: Path) -> None:
    """By default it is void from the day of its cancelling; where it is a return, it never is."""

    def voided_on() -> tuple[object, ...] | None:
        (derived,) = (one for one in shop_sources(shop)["orders"].derived if one.column.name == "voided_on")
        given = "(select timestamptz '2026-01-02 10:00:00+00' as cancelled_at) as row"
        with duckdb.connect() as connection:
            connection.execute("create macro business_day(instant) as epoch_us(instant) // 86400000000")
            return connection.execute(f"select try_cast({derived.sql} as bigint) from {given}").fetchone()

    assert voided_on() == (day_number(date(2026, 1, 2)),)
    (shop / "shop.toml").write_text('[trade]\ncancellations = "returns"\n')
    assert voided_on() == (None,)
    (shop / "shop.toml").write_text('[trade]\ncancellations = "void"\n')
    assert voided_on() == (day_number(date(2026, 1, 2)),)


def test_a_shop_of_whole_units_has_the_contract_of_one_that_says_nothing(shop: Path) -> None:
    """Types, derived columns and rules are those that earlier copies were made by, so that none is read again."""
    for name in SOURCES:
        (shop / f"{name}.sql").touch()
    before = {name: SourceDefinition.of(one, "", SOURCES, "UTC") for name, one in shop_sources(shop).items()}
    (shop / "shop.toml").write_text("[units]\ndecimals = 0\n")
    lines = shop_sources(shop)["order_items"]
    assert {name: SourceDefinition.of(one, "", SOURCES, "UTC") for name, one in shop_sources(shop).items()} == before
    assert before["order_items"].columns["quantity"] == "integer"
    assert lines.derived[0].sql == "coalesce(row.subtotal_cents, row.quantity::hugeint * row.unit_price_cents)"
    (shop / "shop.toml").write_text("[units]\ndecimals = 3\n")
    weighed = {name: SourceDefinition.of(one, "", SOURCES, "UTC") for name, one in shop_sources(shop).items()}
    assert weighed["order_items"].columns["quantity"] == "units, 3 decimals"
    assert weighed["customers"] == before["customers"]


@pytest.mark.parametrize(
    ("quantity", "price", "subtotal", "is_right"),
    [
        (350, 999, 350, True),  # 349.65
        (900, 139, 126, True),  # 125.1; the price may have been 1.3946, and 125.514 rounded
        (900, 139, 127, False),
        (2500, 100, 252, True),  # 1.25 cents for the price, half a cent for the subtotal, half a cent of ours
        (2500, 100, 253, False),
    ],
)
def test_a_subtotal_may_differ_by_half_a_cent_for_each_unit_and_itself(
    shop: Path, quantity: int, price: int, subtotal: int, is_right: bool
) -> None:
    (shop / "order_items.sql").touch()
    (shop / "shop.toml").write_text("[units]\ndecimals = 3\n")
    derived = {one.column.name: one.whole_sql for one in shop_sources(shop)["order_items"].derived}
    found = duckdb.sql(
        f"select {derived['subtotal_off']} <= {derived['subtotal_tolerance']} from (select {quantity} as quantity,"
        f" {price} as unit_price_cents, {subtotal} as subtotal_cents, 1 as smallest_unit_cents) as row"
    )
    assert found.fetchall() == [(is_right,)]


def test_a_part_of_a_unit_comes_to_its_price_half_up(shop: Path) -> None:
    """333 g and 350 g at 9.99, and half a cent; an order's lines, whose sum is that of each."""
    for name in ("orders", "order_items"):
        (shop / f"{name}.sql").touch()
    (shop / "shop.toml").write_text("[units]\ndecimals = 3\n")
    sources = shop_sources(shop)
    (gross,) = (one.whole_sql for one in sources["order_items"].derived if one.column.name == "gross")
    (lines,) = (one.whole_sql for one in sources["orders"].derived if one.column.name == "lines_gross")
    given = "(values (1, 333, 999, null), (1, 350, 999, null), (1, 500, 1, null), (1, 2500, 100, 251))"
    order_items = (
        f"select *, null as removed_at from {given} as t(order_id, quantity, unit_price_cents, subtotal_cents)"
    )
    found = duckdb.sql(
        f"with order_items as ({order_items}) select {gross}, (select {lines} from (select 1 as order_id) as row)"
        " from order_items as row"
    )
    assert sorted(found.fetchall()) == [(1, 935), (251, 935), (333, 935), (350, 935)]


def test_a_column_that_is_not_derived_cannot_be_derived_otherwise() -> None:
    with pytest.raises(ContractError, match="orders derives no column cancelled_at"):
        SOURCES["orders"].deriving("cancelled_at", "null")


def test_a_rule_that_is_not_there_cannot_be_left_out() -> None:
    with pytest.raises(ContractError, match="inventory has no rule backorders"):
        SOURCES["inventory"].without("backorders")


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ('rounding = "half_up"', "rounding is unknown; it may have [money], [units], [stock], [trade]"),
        ("[shipping]\nfree = true", "shipping is unknown; it may have [money], [units], [stock], [trade]"),
        ('[money]\nrounding = "half_up"\nper = "line"', "[money] per is unknown; it may have decimals, rounding"),
        (
            "[stock]\nbackorder = true",
            "[stock] backorder is unknown; it may have backorders: perhaps backorders is meant",
        ),
        ("[stock]\nbackorders = 1", "[stock] backorders = 1: expected true or false"),
        ('[stock]\nbackorders = "true"', "[stock] backorders = 'true': expected true or false"),
        ('[money]\nrounding = "up"', '[money] rounding = \'up\': expected "half_up" or "half_even"'),
        ('[trade]\nfirst_day = "1980-01-01"', "[trade] first_day = '1980-01-01': expected a day, such as 1980-01-01"),
        (
            "[trade]\nfirst_day = 1980-01-01T00:00:00",
            "[trade] first_day = datetime.datetime(1980, 1, 1, 0, 0): expected a day, such as 1980-01-01",
        ),
        ("[units]\ndecimals = 4", "[units] decimals = 4: expected 0 or 1 or 2 or 3"),
        ("[money]", "[money] says nothing; it may have decimals, rounding"),
        ("money = 1", "[money] says nothing; it may have decimals, rounding"),
        (
            '[trade]\ncancellations = "refunds"',
            '[trade] cancellations = \'refunds\': expected "void" or "returns"',
        ),
    ],
)
def test_what_a_shop_may_not_say_is_named(shop: Path, said: str, refused: str) -> None:
    (shop / "shop.toml").write_text(said)
    with pytest.raises(ValueError, match=re.escape(f"{shop / 'shop.toml'}: {refused}") + "$"):
        shop_sources(shop)


def test_there_are_shops() -> None:
    assert {folder.name: len(list(folder.glob("*.sql"))) for folder in FOLDERS} == {
        "demo_shop": 13,
        "complete_journey": 6,
        "medusa": 12,
    }


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_shop_that_comes_along_reads_into_the_contracts(folder: Path) -> None:
    assert shop_sources(folder)
    for name, source in shop_sources(folder).items():
        if source.optional and not (folder / f"{name}.sql").exists():
            continue
        statement = re.sub("--.*", "", (folder / f"{name}.sql").read_text())
        assert ":changed_since" in statement
        assert ";" not in statement
        needed = [column.name for column in source.columns if not column.optional]
        assert [name for name in needed if not re.search(rf"\b{name}\b", statement)] == []


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_a_source_refers_only_to_sources_that_there_are(source: Source) -> None:
    assert {column.key_of for column in source.key_columns} <= set(SOURCES)
    assert {need for derived in source.all_derived for need in derived.needs} <= set(SOURCES)
    if source.whole:
        assert source.name in {column.key_of for column in SOURCES[source.whole.parts].columns if column.part_of}
        assert source.whole.rule not in {rule.name for rule in source.all_rules}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_a_key_says_what_the_key_it_holds_is_called(source: Source) -> None:
    """Whether the row of a key exists is asked by that name: the column's own, or the one it is declared with."""
    for column in source.key_columns:
        assert (column.owner_key,) == SOURCES[str(column.key_of)].primary_key


def test_seconds_are_those_that_passed() -> None:
    """Not how often a second began in between: that is 1 for a fifth of a second across its boundary."""
    sql = next(one.whole_sql for one in SOURCES["orders"].derived if one.column.name == "seconds_to_ship")
    for ordered, shipped, seconds in (
        ("10:00:00.9", "10:00:01.1", 0),
        ("10:00:00.1", "10:00:01.1", 1),
        ("10:00:00", "11:00:00", 3600),
    ):
        given = (
            f"select timestamptz '2026-01-01 {ordered}' as ordered_at, timestamptz '2026-01-01 {shipped}' as shipped_at"
        )
        assert duckdb.sql(f"select {sql} from ({given}) as row").fetchall() == [(seconds,)]
