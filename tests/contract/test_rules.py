"""Every kind of rule, judged twice: Great Expectations and the engine's predicate find the same broken rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from inspect import getmembers, isfunction, signature
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from include.contract import Column, ContractError, Rule, Severity, Table, Type, rules
from include.contract.arrow import arrow_schema
from include.contract.expectations import suite
from include.contract.rules import Condition, at_most, between, empty, equal, filled, matches, one_of

JUDGED = Table(
    schema="reporting",
    name="judged",
    grain="One row per case.",
    columns=(
        Column("case_id", Type.INTEGER, "The case."),
        *(
            Column(name, kind, "What is judged.", nullable=True)
            for name, kind in {
                "number": Type.INTEGER,
                "limit_": Type.INTEGER,
                "text": Type.TEXT,
                "state": Type.TEXT,
                "flag": Type.BOOLEAN,
                "since": Type.AT,
                "until": Type.AT,
                "share": Type.RATIO,
            }.items()
        ),
    ),
    primary_key=("case_id",),
)
NUMBERS = [None, -(2**63), -1, 0, 1, 7, 2**53 + 1, 2**63 - 1]
TEXTS = [None, "", " ", "paid", "Paid", "paid ", "it's", "a\nb", "ß", "日本"]
DAWN, NOON = datetime(1969, 12, 31, 23, 59, 59, 999999, UTC), datetime(2026, 11, 21, 12, tzinfo=UTC)
AFTER = datetime(2026, 11, 21, 12, 0, 0, 1, UTC)  # a microsecond later
WHEN_PAID, WHEN_NOT_PAID = Condition("state", "paid"), Condition("state", "paid", negated=True)

Rows = Mapping[str, list[Any]]


@dataclass(frozen=True)
class Case:
    """A rule, the columns it reads, and the places of the rows that break it."""

    rule: Rule
    rows: Rows
    broken: list[int]


def pairs(left: str, right: str, values: list[tuple[Any, Any]]) -> Rows:
    return {left: [a for a, _ in values], right: [b for _, b in values]}


COUPLES = [(None, None), (None, 1), (1, None), (1, 1), (1, 2), (2, 1), (-1, -1), (2**53, 2**53 + 1), (2**53 + 1, 2**53)]
STATES = [(None, None), (None, "paid"), (None, "open"), (1, None), (1, "paid"), (1, "open"), (0, "paid"), (0, "open")]
SAID = ("rule", "What it means.")

CASES = {
    "filled": Case(filled("number", *SAID), {"number": [None, 0, -1]}, [0]),
    "filled text": Case(filled("text", *SAID), {"text": [None, "", "a"]}, [0]),
    "filled instant": Case(filled("since", *SAID), {"since": [None, DAWN]}, [0]),
    "filled boolean": Case(filled("flag", *SAID), {"flag": [None, False, True]}, [0]),
    "filled, of nothing but nulls": Case(filled("number", *SAID), {"number": [None, None]}, [0, 1]),
    "filled when": Case(filled("number", *SAID, WHEN_PAID), pairs("number", "state", STATES), [1]),
    "filled when not": Case(filled("number", *SAID, WHEN_NOT_PAID), pairs("number", "state", STATES), [2]),
    "filled when something is": Case(
        filled("number", *SAID, Condition("state")), pairs("number", "state", STATES), [1, 2]
    ),
    "empty": Case(empty("text", *SAID), {"text": [None, "", "NaN = 1"]}, [1, 2]),
    "empty instant": Case(empty("since", *SAID), {"since": [None, DAWN]}, [1]),
    "empty when": Case(empty("number", *SAID, WHEN_PAID), pairs("number", "state", STATES), [4, 6]),
    "empty when not": Case(empty("number", *SAID, WHEN_NOT_PAID), pairs("number", "state", STATES), [5, 7]),
    "between": Case(between("number", *SAID, least=0, most=7), {"number": NUMBERS}, [1, 2, 6, 7]),
    "at least": Case(between("number", *SAID, least=0), {"number": NUMBERS}, [1, 2]),
    "at most a number": Case(between("number", *SAID, most=0), {"number": NUMBERS}, [4, 5, 6, 7]),
    "between, beyond what a float can tell apart": Case(
        between("number", *SAID, most=2**53), {"number": [2**53 - 1, 2**53, 2**53 + 1, None]}, [2]
    ),
    "exactly": Case(between("number", *SAID, least=0, most=0), {"number": NUMBERS}, [1, 2, 4, 5, 6, 7]),
    "between ratios": Case(
        between("share", *SAID, least=0, most=1), {"share": [None, -1e-300, 0.0, 1.0, 1.0000001]}, [1, 4]
    ),
    "between, nothing but nulls": Case(between("number", *SAID, least=0), {"number": [None, None]}, []),
    "between when": Case(
        between("number", *SAID, least=1, when=WHEN_PAID), pairs("number", "state", STATES), [6]
    ),
    "between when not": Case(
        between("number", *SAID, least=1, when=WHEN_NOT_PAID), pairs("number", "state", STATES), [7]
    ),
    "one of": Case(one_of("text", *SAID, ["paid", "it's"]), {"text": TEXTS}, [1, 2, 4, 5, 7, 8, 9]),
    "one of one": Case(one_of("text", *SAID, ["日本"]), {"text": TEXTS}, [1, 2, 3, 4, 5, 6, 7, 8]),
    "one of booleans": Case(one_of("flag", *SAID, [True]), {"flag": [None, True, False]}, [2]),
    "one of booleans when": Case(
        one_of("flag", *SAID, [True], Condition("number")),
        pairs("flag", "number", [(None, None), (None, 1), (False, None), (False, 1), (True, None), (True, 1)]),
        [3],
    ),
    "one of when": Case(
        one_of("text", *SAID, ["a"], WHEN_PAID),
        pairs("text", "state", [("a", "paid"), ("b", "paid"), ("b", "open"), ("b", None), (None, "paid")]),
        [1],
    ),
    "matches": Case(matches("text", *SAID, r"^[a-z]+$"), {"text": TEXTS}, [1, 2, 4, 5, 6, 7, 8, 9]),
    "matches, with a line break at the end": Case(
        matches("text", *SAID, "^[a-z]+$"), {"text": ["paid", "paid\n", "paid\n\n", "\npaid", "pa\nid"]}, [1, 2, 3, 4]
    ),
    "matches one of two": Case(
        matches("text", *SAID, "^a|b$"), {"text": ["a", "b", "ab", "xb", "ax", "a\n"]}, [2, 3, 4, 5]
    ),
    "matches an email": Case(
        matches("text", *SAID, r"^[^@ ]+@[^@ ]+[.][^@ ]+$"),
        {"text": [None, "", "a@b.c", "a@b", "@b.c", "a b@c.d", "a@b@c.d", "ä@ö.ü", "a@b.c\n", "a\n@b.c"]},
        [1, 3, 4, 5, 6],
    ),
    "equal": Case(equal("number", "limit_", *SAID), pairs("number", "limit_", COUPLES), [4, 5, 7, 8]),
    "equal when": Case(
        equal("number", "limit_", *SAID, WHEN_PAID),
        {"number": [1, 1, 1, 1, None], "limit_": [2, 2, 2, 1, 1], "state": ["paid", "open", None, "paid", "paid"]},
        [0],
    ),
    "equal when not": Case(
        equal("number", "limit_", *SAID, WHEN_NOT_PAID),
        {"number": [1, 1, 1, 1, None], "limit_": [2, 2, 2, 1, 1], "state": ["paid", "open", None, "open", "open"]},
        [1],
    ),
    "equal texts": Case(
        equal("text", "state", *SAID), pairs("text", "state", [("a", "a"), ("a", "A"), ("", None), (None, "")]), [1]
    ),
    "at most": Case(at_most("number", "limit_", *SAID), pairs("number", "limit_", COUPLES), [5, 8]),
    "at most, instants": Case(
        at_most("since", "until", *SAID),
        pairs("since", "until", [(None, NOON), (NOON, None), (NOON, NOON), (NOON, AFTER), (AFTER, NOON), (NOON, DAWN)]),
        [4, 5],
    ),
    "at most when": Case(
        at_most("number", "limit_", *SAID, WHEN_PAID),
        {"number": [2, 2, 2, 1, None], "limit_": [1, 1, 1, 1, 1], "state": ["paid", "open", None, "paid", "paid"]},
        [0],
    ),
    "at most when not": Case(
        at_most("number", "limit_", *SAID, WHEN_NOT_PAID),
        {"number": [2, 2, 2, 1, None], "limit_": [1, 1, 1, 1, 1], "state": ["paid", "open", None, "open", "open"]},
        [1],
    ),
}  # fmt: skip


def rows_of(case: Case) -> pa.Table:
    """All columns of the judged table, in the lake's types; those a case does not draw are null."""
    count = len(next(iter(case.rows.values())))
    schema = arrow_schema(JUDGED).append(pa.field("_copies", pa.int64()))
    drawn = {"case_id": list(range(count)), "_copies": [1] * count, **case.rows}
    return pa.table({field.name: pa.array(drawn.get(field.name, [None] * count), field.type) for field in schema})


def judged(rule: Rule) -> Table:
    return Table(JUDGED.schema, JUDGED.name, JUDGED.grain, JUDGED.columns, JUDGED.primary_key, (rule,))


def selected(rule: Rule, rows: pa.Table) -> list[int]:
    """The places of the rows that the engine selects as broken."""
    with duckdb.connect() as connection:
        connection.register("judged", rows)
        found = connection.execute(f"select case_id from judged where {rule.broken_sql} order by case_id")
        return [int(place) for (place,) in found.fetchall()]


@cache
def context() -> Any:
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("contract").add_dataframe_asset("rows")
    return asset.add_batch_definition_whole_dataframe("batch")


def expected(table: Table, rows: pa.Table) -> dict[str, list[int]]:
    """Per rule, the places of the rows that Great Expectations finds broken, in frames as the gate makes them."""
    arrays = [
        column.combine_chunks().cast(pa.int64()) if pa.types.is_timestamp(column.type) else column.combine_chunks()
        for column in rows.columns
    ]
    frame = pa.RecordBatch.from_arrays(arrays, rows.schema.names).to_pandas(types_mapper=pd.ArrowDtype)
    result = context().get_batch({"dataframe": frame}).validate(
        suite(table), result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["case_id"]}
    )  # fmt: skip
    found = {}
    for single in result.results:
        name = single.expectation_config.meta["rule"]
        assert not single.exception_info.get("raised_exception"), (name, single.exception_info)
        places = sorted(int(row["case_id"]) for row in single.result["unexpected_index_list"] or [])
        assert len(places) == single.result["unexpected_count"]
        found[name] = places
    return found


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_both_judges_find_the_same_broken_rows(case: Case) -> None:
    rows = rows_of(case)
    assert selected(case.rule, rows) == case.broken
    assert expected(judged(case.rule), rows)["rule"] == case.broken


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_rows_verdict_is_never_null(case: Case) -> None:
    with duckdb.connect() as connection:
        connection.register("judged", rows_of(case))
        found = connection.execute(f"select count(*) from judged where ({case.rule.broken_sql}) is null").fetchone()
    assert found == (0,)


def test_every_kind_of_rule_is_judged_here_with_and_without_a_condition() -> None:
    kinds = {
        name: function
        for name, function in getmembers(rules, isfunction)
        if signature(function).return_annotation == "Rule"
    }
    assert set(kinds) == {"filled", "empty", "between", "one_of", "matches", "equal", "at_most"}
    judged_kinds = {(case.rule.expectation, case.rule.when is not None) for case in CASES.values()}
    assert len({expectation for expectation, _ in judged_kinds}) == len(kinds)
    conditional = {expectation for expectation, has_condition in judged_kinds if has_condition}
    assert len(conditional) == sum("when" in signature(function).parameters for function in kinds.values())


def test_no_rows_break_no_rule() -> None:
    for case in CASES.values():
        rows = rows_of(case).slice(0, 0)
        assert selected(case.rule, rows) == []
        assert expected(judged(case.rule), rows)["rule"] == []


def test_two_rows_of_a_key_break_the_first_rule_of_any_table() -> None:
    rows = rows_of(CASES["filled"])
    rows = rows.set_column(rows.schema.get_field_index("_copies"), "_copies", pa.array([2, 1, 2], pa.int64()))
    rule = JUDGED.all_rules[0]
    assert rule.name == "one_row_per_key"
    assert selected(rule, rows) == expected(JUDGED, rows)["one_row_per_key"] == [0, 2]


def test_a_rule_without_bounds_is_no_rule() -> None:
    with pytest.raises(ContractError, match="rule unbounded"):
        between("number", "unbounded", "Anything goes.")


@pytest.mark.parametrize("pattern", ["[a-z]", "^[a-z]", "[a-z]$", r"^\d$", r"^\w+$", r"^a\b.*$", r"^\S$", r"^a\Z$"])
def test_a_pattern_that_could_mean_two_things_is_refused(pattern: str) -> None:
    with pytest.raises(ContractError, match="rule loose: "):
        matches("text", "loose", "Contains a letter.", pattern)


def test_severity_quarantines_unless_it_is_said() -> None:
    assert filled("number", *SAID).severity is Severity.QUARANTINE
    assert filled("number", *SAID, severity=Severity.WARN).severity is Severity.WARN
