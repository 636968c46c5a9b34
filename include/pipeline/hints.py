"""What ``make map`` says of rows that are not read as they are meant: what a mapper most likely wants to write.

A night reads them all the same, or quarantines them. Belongs here: what only the rows show. Does not: what the
statements show by themselves (``extract.statements``), or the rules (``gate``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import duckdb

from include.contract import Column, Severity, Source, Type
from include.extract import sql_files
from include.extract.reading import is_number
from include.extract.refusals import Finding
from include.extract.statements import Given
from include.lake.night_views import row_key

_MANY: Final = 10_000  # rows that are worth a window; fewer are read in less than a second
_ENOUGH: Final = 20  # amounts that are whole by chance no more
_MOST_UNIT_DECIMALS: Final = 3
_EMPTY_IS_NULL: Final = ("discount_code",)  # for which the contract takes an empty text as none

# By rule, what is mostly behind it. A rule that holds of any column is named by its ending.
RULES: Final[Mapping[str, str]] = {
    "status_known": "translate the shop's own with `case … when … then 'delivered' … end`",
    "kind_known": "translate the shop's own with `case … when … then … end`",
    "currency_known": "ISO 4217 codes are in capitals: `upper(trim(…))`",
    "channel_known": "translate the shop's own, where they are the same; no others are wrong",
    "method_known": "translate the shop's own, where they are the same; no others are wrong",
    "email_filled": "nothing to do, unless the shop has it elsewhere",
    "email_well_formed": "where an empty text or a word stands for none, let the statement give null",
    "reserved_within_on_hand": "a shop that sells what it does not have says `backorders = true` below [stock]",
    "reorder_point_filled": "a shop that has none gives 0",
    "restocked_filled": "where the shop does not say, `false`: then nothing is taken for sellable that may not be",
    "sku_filled": "a shop without article numbers gives the key as a text",
    "cancelled_has_reason": "where the shop does not say, a text such as 'not given'",
    "cancelled_has_time": "where the shop does not say, the time of its last change",
    "refunded_after_ordered": "a day alone is its midnight: `greatest(…, the time at which the order was placed)`",
    "returned_after_ordered": "a day alone is its midnight: `greatest(…, the time at which the order was placed)`",
    "subtotal_equals_lines": "prices with tax or a discount in one of them? Lines come to `subtotal` without either",
    "total_equals_parts": "is tax in some amounts and not in others? Amounts but total and taxes are without it",
    "tax_equals_lines": "is shipping's tax in `tax` and in `shipping_tax`, and the lines' in `tax`?",
    "order_exists": "what is left out of orders (drafts, tests, deleted ones) is left out here by the same condition",
    "order_item_exists": "what is left out of order_items is left out here by the same condition",
    "sku_of_one_product": "two that cannot be told apart by it; nothing to do where that is so",
    "_not_in_future": "is the zone right in which the shop's times without one are read? It stands in the statement",
    "_exists": "deleted in the shop, or never there: where an empty text or a 0 stands for none, give null",
}


@dataclass(frozen=True)
class Warned:
    """A rule that warns and that rows break; they are published.

    Attributes:
        rule: its name.
        rows: how many.
        example: the key of one.
        meaning: the rule, in a sentence.
    """

    rule: str
    rows: int
    example: str
    meaning: str

    def __str__(self) -> str:
        """``warns, customer_exists: 41 rows, such as A-1. …``."""
        return f"warns, {self.rule}: {self.rows:,} rows, such as {self.example}. {self.meaning}"


def of_rule(rule: str) -> str:
    """What is mostly behind a broken rule; empty where nothing is known of it."""
    endings = (hint for name, hint in RULES.items() if name.startswith("_") and rule.endswith(name))
    return RULES.get(rule) or next(endings, "")


def of_rows(
    connection: duckdb.DuckDBPyConnection, source: Source, given: Sequence[Given], rows: int
) -> Iterator[Finding]:
    """What the rows of a source show.

    Args:
        connection: a session after ``load_checked_rows``.
        source: the source.
        given: the columns of its statement; none of a source that is absent.
        rows: how many it has.
    """
    file = sql_files.shown(sql_files.file_of(source.name))
    if given and rows >= _MANY and not sql_files.takes_changes(source):
        what = f"it has no `:changed_since`, so every night reads all of its {rows:,} rows"
        yield Finding(file, None, what, "add a `where` with it", stops=False)
    if given and not rows and not source.optional:
        what = "it gives no row: a night that had some before waits for an approval, as if all of them were gone"
        yield Finding(file, None, what, "look at its `from` and `where`, unless the shop has none yet", stops=False)
    yield from _multiplied(connection, source, file)
    for one in given:
        column = next(each for each in source.columns if each.name == one.name)
        for what, write in (
            *_unreadable(connection, source, column),
            *_empty_texts(connection, source, column, one.item.expression),
        ):
            yield Finding(file, one.item.line, what, write, stops=False)
    yield from _whole_amounts(connection, source, given, file)
    yield from _no_tax(connection, source, given, file)


def _multiplied(connection: duckdb.DuckDBPyConnection, source: Source, file: str) -> Iterator[Finding]:
    """A statement that gives a row of the shop several times."""
    keys = ", ".join(source.primary_key)
    twice, example = connection.execute(
        f"""
        with several as (
            select {keys}, min({row_key(source)}) as example
            from checked_{source.name}
            group by {keys}
            having count(*) > 1
        )
        select count(*), min(example) from several
        """
    ).fetchone() or (0, "")
    if twice:
        what = f"{twice:,} of its keys stand in several rows, such as {example}"
        yield Finding(file, None, what, "see whether one of its joins finds several rows for one", stops=False)


def _unreadable(connection: duckdb.DuckDBPyConnection, source: Source, column: Column) -> Iterator[tuple[str, str]]:
    """A column of which values are not readable, and why that may be."""
    count, example, decimals = connection.execute(
        f"""
        with said as (
            select regexp_extract(_unreadable, '(^|, ){column.name} = ([^,]*)', 2) as value
            from checked_{source.name}
            where regexp_matches(_unreadable, '(^|, ){column.name} = ')
        )
        select
            count(*),
            any_value(value order by value),
            max(length(rtrim(regexp_extract(value, '^-?[0-9]+[.]([0-9]+)$', 1), '0')))
        from said
        """
    ).fetchone() or (0, "", 0)
    if not count:
        return
    what = f"{column.name} is not readable in {count:,} rows, such as {example}"
    write = "let the statement give null or another value there; the gate quarantines these rows"
    if column.type is Type.UNITS and decimals:
        what = f"{what}: the shop's units have {column.unit_decimals or 'no'} decimals"
        write = "round it in the statement: units have 3 decimals at most"
        if decimals <= _MOST_UNIT_DECIMALS:
            write = (
                f"where goods are sold by weight or length, say `decimals = {decimals}` below [units] in shop.toml"
                " before its first night"
            )
    elif column.type is Type.CENTS and decimals:
        what = f"{what}: it is finer than the shop's {source.decimals} decimals"
        write = (
            'say below [money] in shop.toml how amounts are rounded, `rounding = "half_up"`, or in the statement'
            f" `round(…, {source.decimals})`"
        )
    yield what, write


def _empty_texts(
    connection: duckdb.DuckDBPyConnection, source: Source, column: Column, expression: str
) -> Iterator[tuple[str, str]]:
    """A column of texts that are empty: each is a value like any other, a customer, a channel, a supplier."""
    if column.type is not Type.TEXT or column.name in _EMPTY_IS_NULL:
        return
    ruled = any(column.name in rule.reads and rule.severity is Severity.QUARANTINE for rule in source.rules)
    if ruled and not column.nullable:
        return  # the rule says it
    count, example = connection.execute(
        f"select count(*), min({row_key(source)}) from checked_{source.name} where trim({column.name}) = ''"
    ).fetchone() or (0, "")
    if not count:
        return
    what = f"{column.name} is an empty text in {count:,} rows, such as {example}, which is a value and not null"
    own = f"nullif(trim({expression if expression not in ('', '*') else column.name}), '')"
    if column.nullable:
        yield what, f"where it stands for none, write `{own} as {column.name}`"
    else:
        yield what, f"it may not be null; where it stands for none, write `coalesce({own}, …) as {column.name}`"


def _whole_amounts(
    connection: duckdb.DuckDBPyConnection, source: Source, given: Sequence[Given], file: str
) -> Iterator[Finding]:
    """Amounts none of which has a cent: of a numeric or a text nobody can see that it is cents."""
    amounts = [
        (one, source[one.name].lake_name)
        for one in given
        if source[one.name].type is Type.CENTS and not (one.item.is_null or one.item.expression.isdigit())
    ]
    if not (amounts and source.decimals) or any(is_number(one.type) for one, _ in amounts):
        return
    part = 10**source.decimals
    filled, parts = connection.execute(
        f"""
        select
            {" + ".join(f"count(*) filter ({name} <> 0)" for _, name in amounts)},
            {" + ".join(f"count(*) filter ({name} % {part} <> 0)" for _, name in amounts)}
        from checked_{source.name}
        """
    ).fetchone() or (0, 0)
    if filled >= _ENOUGH and not parts:
        names = ", ".join(one.name for one, _ in amounts)
        what = f"none of its {filled:,} amounts has a part of a unit ({names})"
        expression = amounts[0][0].item.expression
        write = f"if the shop writes cents, write `{expression} / 100.0`, and so for each"
        yield Finding(file, amounts[0][0].item.line, what, write, stops=False)


def _no_tax(
    connection: duckdb.DuckDBPyConnection, source: Source, given: Sequence[Given], file: str
) -> Iterator[Finding]:
    """Orders none of which has a tax: in most shops it is in their prices then, and net sales are with it."""
    tax = next((one for one in given if (source.name, one.name) == ("orders", "tax")), None)
    if tax is None:
        return
    orders, taxed = connection.execute(
        f"select count(*), count(*) filter ({source['tax'].lake_name} <> 0) from checked_orders"
    ).fetchone() or (0, 0)
    if orders >= _ENOUGH and not taxed:
        what = f"none of its {orders:,} orders has a tax"
        write = (
            "if the shop's prices are with tax, take it out of them: include/sources/README.md says how; as it is, net"
            " sales are what customers pay"
        )
        yield Finding(file, tax.item.line, what, write, stops=False)
