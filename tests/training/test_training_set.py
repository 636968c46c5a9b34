"""Training sets on real Delta tables and a real ledger: nothing from after a timestamp, ever."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include import training
from include.lake import tables as lake
from include.settings import settings as stocktake
from include.training import training_set, write_training_set
from tests.training.conftest import ZONE, Warehouse

BERLIN = ZoneInfo(ZONE)
DAY = date(2026, 3, 10)
ACTIVITY = "customer_activity.frequency"


def at(day: date, hour: float = 0) -> datetime:
    """An hour of a day in the shop's zone."""
    return (datetime(day.year, day.month, day.day, tzinfo=BERLIN) + timedelta(hours=hour)).astimezone(UTC)


def morning_after(day: date) -> datetime:
    """When the features of a day are usually published: at four on the next one."""
    return at(day + timedelta(days=1), 4)


def pairs(*rows: tuple[Any, datetime], key: str = "customer_id", kind: pa.DataType | None = None) -> pa.Table:
    keys, instants = zip(*rows, strict=True) if rows else ((), ())
    return pa.table(
        {key: pa.array(keys, kind or pa.int64()), "timestamp": pa.array(instants, pa.timestamp("us", tz="UTC"))}
    )


def frequency(customer: Any, value: int) -> dict[str, Any]:
    return {"customer_id": customer, "frequency": value}


def found(table: pa.Table, column: str = "customer_activity__frequency") -> list[Any]:
    return list(table[column].to_pylist())


def test_the_latest_day_that_had_ended_and_was_published(warehouse: Warehouse) -> None:
    for number in range(3):
        day = DAY + timedelta(days=number)
        warehouse.publish("customer_activity", day, [frequency(1, number), frequency(2, 10 + number)],
                          morning_after(day))  # fmt: skip
    last = DAY + timedelta(days=2)
    asked = pairs(
        (1, morning_after(DAY)),
        (1, morning_after(DAY) - timedelta(microseconds=1)),
        (1, at(DAY + timedelta(days=2), 3.9)),
        (2, at(DAY + timedelta(days=2), 4)),
        (3, morning_after(last)),
        (2, morning_after(last)),
        (2, morning_after(last)),
    )
    made = training_set(asked, [ACTIVITY])
    assert found(made) == [0, None, 0, 11, None, 12, 12]
    assert made.select(["customer_id", "timestamp"]).equals(asked)
    assert made.column_names[2:] == [
        "customer_activity__as_of", "customer_activity__known_at", "customer_activity__frequency",
    ]  # fmt: skip
    assert found(made, "customer_activity__as_of")[3] == DAY + timedelta(days=1)
    assert found(made, "customer_activity__known_at")[3] == at(DAY + timedelta(days=2), 4)

    whole = training_set(asked, [ACTIVITY], known_only=False)
    assert found(whole) == [0, 0, 1, 11, None, 12, 12]


def test_a_row_lives_as_long_as_it_is_told_to(warehouse: Warehouse) -> None:
    warehouse.publish("customer_activity", DAY, [frequency(1, 5)], morning_after(DAY))
    end = at(DAY + timedelta(days=1))
    week = timedelta(days=7)
    asked = pairs((1, end + week), (1, end + week + timedelta(microseconds=1)), (1, end + 100 * week))
    assert found(training_set(asked, [ACTIVITY])) == [5, None, None]
    assert found(training_set(asked, [ACTIVITY], ttl=timedelta(days=8))) == [5, 5, None]
    assert found(training_set(asked, [ACTIVITY], ttl=None)) == [5, 5, 5]
    with pytest.raises(training.WrongTrainingSet, match="is negative"):
        training_set(asked, [ACTIVITY], ttl=-week)


def test_a_slice_published_again_is_known_from_then_and_read_as_it_was_before(warehouse: Warehouse) -> None:
    """Customer 2 is gone from the second version: who asks after it finds an earlier day, not what was withdrawn."""
    warehouse.publish("customer_activity", DAY - timedelta(days=1), [frequency(1, 0), frequency(2, 0)], at(DAY, 4))
    warehouse.publish("customer_activity", DAY, [frequency(1, 1), frequency(2, 1)], at(DAY, 28))
    warehouse.publish("customer_activity", DAY, [frequency(1, 1), frequency(2, 1)], at(DAY, 30), changed=False)
    warehouse.publish("customer_activity", DAY, [frequency(1, 9)], at(DAY, 48))
    asked = pairs((1, at(DAY, 31)), (1, at(DAY, 47)), (1, at(DAY, 48)), (2, at(DAY, 47)), (2, at(DAY, 48)))
    made = training_set(asked, [ACTIVITY])
    assert found(made) == [1, 1, 9, 1, 0]
    assert found(made, "customer_activity__known_at")[:3] == [at(DAY, 28), at(DAY, 28), at(DAY, 48)]
    assert found(training_set(asked, [ACTIVITY], known_only=False)) == [9, 9, 9, 0, 0]


def test_what_was_built_and_never_published_is_never_read(warehouse: Warehouse) -> None:
    warehouse.publish("customer_activity", DAY, [frequency(1, 1)], morning_after(DAY))
    warehouse.build("customer_activity", DAY, [frequency(1, 666)])
    warehouse.build("customer_activity", DAY + timedelta(days=1), [frequency(1, 667)])
    warehouse.publish("customer_activity", DAY - timedelta(days=3), [frequency(1, 0)], morning_after(DAY))
    asked = pairs((1, at(DAY, 72)))
    assert found(training_set(asked, [ACTIVITY])) == [1]
    assert found(training_set(asked, [ACTIVITY], known_only=False)) == [1]


Publication = tuple[int, int, Sequence[int]]  # day, hours until it is published, customers


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    published=st.lists(
        st.tuples(st.integers(0, 6), st.integers(1, 200), st.lists(st.integers(1, 3), unique=True)),
        min_size=1, max_size=8,
    ),
    asked=st.lists(st.tuples(st.integers(1, 4), st.integers(-30, 300)), min_size=1, max_size=12),
    ttl=st.one_of(st.none(), st.integers(0, 120)),
    known_only=st.booleans(),
)  # fmt: skip
def test_no_row_from_the_future_and_none_that_is_better(
    warehouse: Warehouse,
    published: list[Publication],
    asked: list[tuple[int, int]],
    ttl: int | None,
    known_only: bool,
) -> None:
    """Against the definition, in Python: for every pair all versions of all slices are looked at."""
    _forget(warehouse)
    ordered = sorted(published, key=lambda one: one[0] * 24 + one[1])
    instants = _rising(at(DAY + timedelta(days=day), 24 + hours) for day, hours, _ in ordered)
    for number, ((day, _, customers), instant) in enumerate(zip(ordered, instants, strict=True)):
        rows = [frequency(customer, number) for customer in customers]
        warehouse.publish("customer_activity", DAY + timedelta(days=day), rows, instant)
    table = pairs(*((customer, at(DAY, hours)) for customer, hours in asked))
    limit = None if ttl is None else timedelta(hours=ttl)

    made = training_set(table, [ACTIVITY], ttl=limit, known_only=known_only)

    assert made.num_rows == len(asked)
    for pair, value in zip(table.to_pylist(), found(made), strict=True):
        assert value == _defined(ordered, instants, pair, limit, known_only=known_only)
    for row in made.to_pylist():
        if row["customer_activity__as_of"] is not None:
            assert at(row["customer_activity__as_of"] + timedelta(days=1)) <= row["timestamp"]
            assert not known_only or row["customer_activity__known_at"] <= row["timestamp"]


def _defined(
    published: Sequence[Publication],
    instants: Sequence[datetime],
    pair: Mapping[str, Any],
    ttl: timedelta | None,
    *,
    known_only: bool,
) -> int | None:
    when, best = pair["timestamp"], None
    for day in sorted({one[0] for one in published}):
        ended = at(DAY + timedelta(days=day + 1))
        seen = [
            number
            for number, (one, instant) in enumerate(zip(published, instants, strict=True))
            if one[0] == day and (instant <= when or not known_only)
        ]
        if ended <= when and (ttl is None or when - ended <= ttl) and seen:
            number = seen[-1]
            best = number if pair["customer_id"] in published[number][2] else best
    return best


def _rising(instants: Iterator[datetime]) -> list[datetime]:
    """The same, each a minute after the one before at least: publications take turns."""
    return list(itertools.accumulate(instants, lambda last, now: max(now, last + timedelta(minutes=1))))


def _forget(warehouse: Warehouse) -> None:
    warehouse.connection.execute("delete from audit.publication_tables")
    warehouse.connection.execute("delete from audit.publications")


def test_the_day_of_a_clock_change_ends_at_the_shops_midnight(warehouse: Warehouse) -> None:
    spring = date(2026, 3, 29)  # has 23 hours in Berlin
    warehouse.publish("customer_activity", spring, [frequency(1, 1)], morning_after(spring))
    end = datetime(2026, 3, 29, 22, tzinfo=UTC)
    asked = pairs((1, end), (1, end - timedelta(microseconds=1)))
    assert found(training_set(asked, [ACTIVITY], known_only=False)) == [1, None]


def test_labels_are_those_of_the_day_that_had_ended_or_null(warehouse: Warehouse) -> None:
    """Labels of a day are published ninety nights later; until then there are none, and none are guessed."""
    for number in range(2):
        night = DAY + timedelta(days=90 + number)
        rows = [{"customer_id": 1, "orders_next_90d": number, "churned_90d": False}]
        warehouse.publish("customer_labels", night, rows, morning_after(night))
    warehouse.publish("customer_activity", DAY, [frequency(1, 7)], morning_after(DAY))
    asked = pairs(
        (1, at(DAY, 30)), (1, at(DAY, 47.99)), (1, at(DAY, 48)), (1, at(DAY, 71)), (1, at(DAY, 72)), (2, at(DAY, 30)),
        (1, at(DAY, 23.99)),
    )  # fmt: skip
    made = training_set(asked, ["customer_activity"], ["customer_labels.orders_next_90d"])
    assert found(made, "customer_labels__orders_next_90d") == [0, 0, 1, 1, None, None, None]
    assert found(made, "customer_labels__as_of")[:3] == [DAY, DAY, DAY + timedelta(days=1)]
    assert found(made) == [7, 7, 7, 7, 7, None, None]
    assert "customer_labels__known_at" not in made.column_names
    assert found(made, "customer_activity__net_sales_7d_cents") == [None] * 7


def test_sets_of_different_entities_stand_side_by_side(warehouse: Warehouse) -> None:
    shelf = {"product_id": 5, "warehouse_id": 1}
    warehouse.publish("customer_activity", DAY, [frequency(1, 7)], morning_after(DAY))
    warehouse.publish("inventory_risk", DAY, [{**shelf, "available": 30}], morning_after(DAY))
    warehouse.publish("product_demand", DAY - timedelta(days=1), [{**shelf, "units": 3}], at(DAY, 4))
    asked = (
        pairs((1, at(DAY, 40))).append_column("product_id", pa.array([5])).append_column("warehouse_id", pa.array([1]))
    )
    asked = asked.append_column("weight", pa.array([0.5]))
    [row] = training_set(asked, [ACTIVITY, "inventory_risk.available", "product_demand.units"]).to_pylist()
    assert row["weight"] == 0.5
    assert (row["customer_activity__frequency"], row["inventory_risk__available"], row["product_demand__units"]) == (
        7,
        30,
        3,
    )
    assert (row["inventory_risk__as_of"], row["product_demand__as_of"]) == (DAY, DAY - timedelta(days=1))


@pytest.mark.parametrize("kind", ["text", "uuid"])
def test_keys_may_be_text_or_uuids(warehouse: Warehouse, sources: Path, kind: str) -> None:
    (sources / "keys.toml").write_text(f'customers = "{kind}"\n')
    stocktake.cache_clear()
    key = "C-1" if kind == "text" else "0f8fad5b-d9cb-469f-a165-70867728950e"
    warehouse.publish("customer_activity", DAY, [frequency(key, 7)], morning_after(DAY))
    asked = pairs((key, at(DAY, 40)), (key.upper(), at(DAY, 40)), kind=pa.string())
    assert found(training_set(asked, [ACTIVITY])) == [7, 7]
    if kind == "uuid":
        asked = pairs((uuid.UUID(key).bytes, at(DAY, 40)), kind=pa.uuid())
        assert found(training_set(asked, [ACTIVITY])) == [7]
        with pytest.raises(training.WrongKeyType, match=r"is not of the shop's type: .*'C-1'"):
            training_set(pairs(("C-1", at(DAY, 40)), kind=pa.string()), [ACTIVITY])


def test_the_same_publication_gives_the_same_bytes(warehouse: Warehouse, tmp_path: Path) -> None:
    first = warehouse.publish("customer_activity", DAY, [frequency(1, 1), frequency(2, 2)], morning_after(DAY))
    asked = pairs(*((1 + place % 2, at(DAY, 40 + place)) for place in range(50)))
    pq.write_table(asked, tmp_path / "pairs.parquet")
    note = write_training_set(tmp_path / "made" / "one.parquet", asked, ["customer_activity"])
    told = json.loads(Path(note).read_text())
    assert told["publication"] == first
    assert told["sets"]["features.customer_activity"]["slices"] == [
        {"as_of": DAY.isoformat(), "known_at": morning_after(DAY).isoformat(), "lake_version": 0}
    ]
    warehouse.publish("customer_activity", DAY, [frequency(1, 9)], at(DAY, 41))
    warehouse.publish("customer_activity", DAY + timedelta(days=1), [frequency(1, 8)], at(DAY, 52))

    write_training_set(tmp_path / "two.parquet", tmp_path / "pairs.parquet", ["customer_activity"], publication=first)
    made = (tmp_path / "made" / "one.parquet").read_bytes()
    assert (tmp_path / "two.parquet").read_bytes() == made
    assert json.loads((tmp_path / "two.json").read_text()) == told
    assert pq.read_table(tmp_path / "two.parquet").equals(training_set(asked, ["customer_activity"], publication=first))

    write_training_set(tmp_path / "two.parquet", asked, ["customer_activity"])
    assert (tmp_path / "two.parquet").read_bytes() != made
    assert sorted(path.name for path in tmp_path.glob("two*")) == ["two.json", "two.parquet"]


def test_many_rows_are_written_in_groups_of_one_size(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.publish("customer_activity", DAY, [frequency(key, key) for key in range(1000)], morning_after(DAY))
    many = pa.table({
        "customer_id": pa.array([place % 1000 for place in range(300_000)]),
        "timestamp": pa.array([at(DAY, 40)] * 300_000, pa.timestamp("us", tz="UTC")),
    })  # fmt: skip
    digests = set()
    for name in ("a", "b"):
        note = write_training_set(tmp_path / f"{name}.parquet", many, [ACTIVITY])
        digests.add(json.loads(Path(note).read_text())["sha256"])
    groups = pq.ParquetFile(tmp_path / "a.parquet").metadata
    assert [groups.row_group(number).num_rows for number in range(groups.num_row_groups)] == [122_880, 122_880, 54_240]
    assert len(digests) == 1
    made = pq.read_table(tmp_path / "a.parquet")
    assert made["customer_id"].equals(made["customer_activity__frequency"])


def test_entities_from_the_warehouse_and_every_entity_of_a_set(warehouse: Warehouse) -> None:
    warehouse.publish("customer_activity", DAY, [frequency(2, 2), frequency(1, 1)], morning_after(DAY))
    query = training.Query("select g::bigint as customer_id, timestamptz '2026-03-12 00:00+00' as timestamp"
                           " from generate_series(3, 1, -1) as g -- the newest first")  # fmt: skip
    assert found(training_set(query, [ACTIVITY])) == [1, 2, None]
    every = training.EveryEntity("customer_activity", (DAY,))
    made = training_set(every, [ACTIVITY], known_only=False)
    assert found(made) == [1, 2]
    assert found(made, "timestamp") == [at(DAY, 24)] * 2
    assert found(training_set(every, [ACTIVITY])) == [None, None], "at the day's end it was not published yet"
    with pytest.raises(training.WrongTrainingSet, match="customer_activity has no slice of 2026-03-11 published"):
        training_set(training.EveryEntity("customer_activity", (DAY, DAY + timedelta(days=1))), [ACTIVITY])


@pytest.mark.parametrize(
    "sql",
    [
        "select setval('audit.publications_publication_id_seq', 1) as customer_id, now() as timestamp",
        "select pg_read_file('PG_VERSION') as customer_id, now() as timestamp",
        "delete from audit.publications returning 1",
    ],
)
def test_a_query_may_do_what_the_analyst_may_and_no_more(warehouse: Warehouse, sql: str) -> None:
    warehouse.publish("customer_activity", DAY, [frequency(1, 1)], morning_after(DAY))
    with pytest.raises(training.WrongTrainingSet, match=r"the warehouse refuses the query: .*(permission|syntax)"):
        training_set(training.Query(sql), [ACTIVITY])
    assert training_set(SOME, [ACTIVITY]).num_rows == 1


SOME = pairs((1, at(DAY, 40)))
WRONG: list[tuple[type[Exception], str, pa.Table, list[str], list[str]]] = [
    (training.UnknownFeatureSet, "no feature set is called 'customers'; there are customer_activity",
     SOME, ["customers"], []),
    (training.UnknownFeatureSet, "'customer_labels': it holds labels, ask for it as such",
     SOME, ["customer_labels"], []),
    (training.UnknownFeatureSet, "'customer_activity': it holds features", SOME, [], ["customer_activity"]),
    (training.UnknownFeatureSet, "name at least one feature set", SOME, [], []),
    (training.MissingColumn, "customer_activity has no column moods; there are currency",
     SOME, ["customer_activity.moods"], []),
    (training.MissingColumn, "no column product_id, warehouse_id; they have customer_id, timestamp",
     SOME, ["inventory_risk"], []),
    (training.MissingColumn, "no column timestamp", SOME.select(["customer_id"]), [ACTIVITY], []),
    (training.WrongTimestamp, "of type TIMESTAMP: give it a time zone",
     SOME.set_column(1, "timestamp", SOME["timestamp"].cast(pa.timestamp("us"))), [ACTIVITY], []),
    (training.WrongTimestamp, "of type DATE", SOME.set_column(1, "timestamp", pa.array([DAY])), [ACTIVITY], []),
    (training.WrongTimestamp, "null, infinite or beyond the years 1 to 9999 in 1 of the entities",
     pairs((1, None)), [ACTIVITY], []),  # type: ignore[arg-type]
    (training.WrongTimestamp, "beyond the years 1 to 9999 in 1 of the entities",
     training.Query("select 1::bigint as customer_id, timestamptz '200000-01-01 00:00+00' as timestamp"),
     [ACTIVITY], []),
    (training.NullKey, "customer_id is null in 2 of the entities: leave them out",
     pairs((None, at(DAY)), (None, at(DAY)), (1, at(DAY))), [ACTIVITY], []),
    (training.WrongKeyType, "customer_id is of type VARCHAR, the shop's is integer",
     pairs(("1", at(DAY)), kind=pa.string()), [ACTIVITY], []),
    (training.WrongKeyType, "customer_id is of type DOUBLE", pairs((1.0, at(DAY)), kind=pa.float64()), [ACTIVITY], []),
    (training.ColumnClash, "rename _place: the", SOME.append_column("_place", pa.array([1])), [ACTIVITY], []),
    (training.ColumnClash, "rename customer_activity__x",
     SOME.append_column("customer_activity__x", pa.array([1])), [ACTIVITY], []),
]  # fmt: skip


@pytest.mark.parametrize(("error", "message", "entities", "features", "labels"), WRONG)
def test_what_makes_no_sense_is_refused_and_says_why(
    warehouse: Warehouse,
    error: type[Exception],
    message: str,
    entities: pa.Table,
    features: list[str],
    labels: list[str],
) -> None:
    warehouse.publish("customer_activity", DAY, [frequency(1, 1)], morning_after(DAY))
    with pytest.raises(error, match=message):
        training_set(entities, features, labels)


def test_publications_that_are_not_there_are_refused(warehouse: Warehouse) -> None:
    with pytest.raises(training.UnknownPublication, match="no features are published yet: run the DAG features first"):
        training_set(SOME, [ACTIVITY])
    first = warehouse.publish("customer_activity", DAY, [frequency(1, 1)], morning_after(DAY))
    for publication in (0, -1, first + 1):
        with pytest.raises(training.UnknownPublication, match=f"no publication {publication} of features; the newest"):
            training_set(SOME, [ACTIVITY], publication=publication)
    warehouse.publish("customer_labels", DAY, [], morning_after(DAY))
    with pytest.raises(training.UnknownPublication, match=r"is before the first of features\.customer_labels"):
        training_set(SOME, [ACTIVITY], ["customer_labels"], publication=first)


def test_a_version_that_the_lake_no_longer_has_is_told(warehouse: Warehouse) -> None:
    warehouse.publish("customer_activity", DAY, [frequency(1, 1)], morning_after(DAY))
    warehouse.connection.execute("update audit.publication_tables set lake_version = 99")
    with pytest.raises(training.MissingVersion, match=r"no longer has version 99 of features\.customer_activity"):
        training_set(SOME, [ACTIVITY])


def test_no_entities_make_an_empty_set(warehouse: Warehouse) -> None:
    warehouse.publish("customer_activity", DAY, [frequency(1, 1)], morning_after(DAY))
    made = training_set(pairs(), ["customer_activity"])
    assert made.num_rows == 0
    warehouse.publish("customer_activity", DAY + timedelta(days=1), [], morning_after(DAY))
    every = training.EveryEntity("customer_activity", (DAY + timedelta(days=1),))
    assert training_set(every, ["customer_activity"]).num_rows == 0
    with pytest.raises(training.WrongTrainingSet, match="there is no Parquet file"):
        training_set(stocktake().lake, [ACTIVITY])
    assert len(made.column_names) > 20
    assert lake.files("features", "customer_activity")
