"""What a request may ask: values, filters, cursors and settings, each without a server."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from string import Formatter
from typing import Any

import pytest
from pydantic import ValidationError

from include.contract import Column, Table, Type
from include.ledger.redaction import redacted
from include.serve.api import caching
from include.serve.api.answers import Format, Page
from include.serve.api.cursor import Cursor
from include.serve.api.problems import Problem, wrong
from include.serve.api.query import Query
from include.serve.api.values import parsed, shown
from include.serve.metrics import METRICS
from include.serve.metrics.definition import Asked, Parameter, value_of
from include.settings import settings

TABLE = Table(
    name="things",
    schema="reporting",
    doc="Of the test.",
    grain="One row per thing.",
    primary_key=("label",),
    columns=(
        Column("label", Type.TEXT, "Its name."),
        Column("amount", Type.CENTS, "What it costs."),
        Column("day", Type.DAY, "When."),
        Column("at", Type.AT, "When, to the second."),
        Column("number", Type.INTEGER, "How many."),
        Column("share", Type.RATIO, "Of all."),
        Column("sold", Type.BOOLEAN, "Whether it is."),
        Column("more", Type.JSON, "Anything."),
    ),
)


def values_of(said: str) -> tuple[Any, ...]:
    """What a filter compares with."""
    return Query.of(TABLE, filters=[said]).filters[0].values


def refused(said: str) -> str:
    """Why a filter is refused."""
    with pytest.raises(Problem) as error:
        Query.of(TABLE, filters=[said])
    assert error.value.details.field == "filter"
    return error.value.details.detail


@pytest.mark.parametrize(
    ("said", "values"),
    [
        ("label=EUR", ("EUR",)),
        ('label="EUR"', ("EUR",)),
        ("label = EUR ", ("EUR",)),
        ('label=" EUR "', (" EUR ",)),
        ('label=""', ("",)),
        ('label="say ""hi"""', ('say "hi"',)),
        ('label=5" pipe', ('5" pipe',)),
        ('label like " A%"', (" A%",)),
        ("label like 100\\%", ("100\\%",)),
        ("label in (EUR, USD )", ("EUR", "USD")),
        ('label in ("  a", "b, c", d)', ("  a", "b, c", "d")),
        ('label in "EUR"', ("EUR",)),
        ("label!=it's", ("it's",)),
        ("label=\"'A'\"", ("'A'",)),
        ('label="<b>"', ("<b>",)),
        ("amount in (1, 2.5)", (Decimal(1), Decimal("2.5"))),
    ],
)
def test_a_filter_compares_with_what_is_said(said: str, values: tuple[Any, ...]) -> None:
    assert values_of(said) == values


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("label<>A", "not equal is !="),
        ("label==A", "not equal is !="),
        ("label=>A", "not equal is !="),
        ("label='A'", "no apostrophes"),
        ("label in ('A', 'B')", "no apostrophes"),
        ("label in (EUR, )", 'an empty text is ""'),
        ("label=", 'an empty text is ""'),
        ('label in ("a" b)', "separated by commas"),
        ("label like A\\", "backslash"),
        ("label=\ud800", "a text"),
        ("more=1", "is null"),
        ("day=20261101", "a day"),
        ("day=2026-W45-1", "a day"),
        ("at=20261101T063000Z", "an instant"),
        ("number=1_000", "a whole number"),
        ("share=1_000", "a number"),
        ("amount=1_000", "an amount"),
        ("amount=0E-100000", "an amount"),
        ("amount=0.0000000000000000001", "an amount"),
    ],
)
def test_a_slip_is_refused_and_said(said: str, why: str) -> None:
    assert why in refused(said)


def test_a_long_filter_is_refused_in_no_time() -> None:
    began = time.process_time()
    assert "separated by commas" in refused(f'label in (a,{" " * 60_000}"b)')
    assert time.process_time() - began < 1


def test_what_may_be_asked_of_a_column_without_an_order() -> None:
    with pytest.raises(Problem) as error:
        Query.of(TABLE, filters=["more>1"])
    assert error.value.details.allowed == ["is null", "is not null"]


@pytest.mark.parametrize("text", ["10000000000", "123456789012345678.12", "-999999999999999999", "0.50"])
def test_amounts_of_every_size_are_read(text: str) -> None:
    assert parsed(TABLE["amount"], text) == Decimal(text)


def test_an_instant_is_shown_in_utc() -> None:
    at = datetime(2026, 11, 1, 8, 30, tzinfo=timezone(timedelta(hours=2)))
    assert shown(TABLE["at"], at) == "2026-11-01T06:30:00Z"


@pytest.mark.parametrize("label", [" A ", "", "\tB", "ü", '"', "'"])
def test_a_cursor_keeps_a_text_as_it_is(label: str) -> None:
    query = Query.of(TABLE, sort="-amount,at,number,share")
    after = (Decimal("12345678901234.50"), datetime(2026, 11, 1, tzinfo=UTC), -1, 1e-07, label)
    assert Cursor.read(query, Cursor(7, after).written(query)) == Cursor(7, after)


@pytest.mark.parametrize(
    "text",
    [
        '[1,"x",[1,2]]', '[1,"DIGEST",[1]]', '[1,"DIGEST",["\\ud800"]]', '[1,"DIGEST","A"]', '[1,"DIGEST",[]]',
        '[true,"DIGEST",["A"]]', '{"a":1}', "[" * 100_000, "\0",
    ],
)  # fmt: skip
def test_what_is_no_cursor_is_called_so(text: str) -> None:
    query = Query.of(TABLE)
    written = base64.urlsafe_b64encode(text.replace("DIGEST", query.digest).encode()).decode()
    with pytest.raises(Problem) as error:
        Cursor.read(query, written)
    assert error.value.details.status == 422


def test_a_column_that_is_not_there_is_blamed_on_who_named_it() -> None:
    there = {"label", "amount", "_publication_id"}
    for asked, field in (
        ({"filters": ["number=1"]}, "filter"),
        ({"sort": "day"}, "sort"),
        ({"columns": "at"}, "columns"),
    ):
        with pytest.raises(Problem) as error:
            Query.of(TABLE, **asked).published(there)
        assert error.value.details.field == field
        assert error.value.details.allowed == ["label", "amount"]


def test_a_problem_repeats_little_of_what_was_asked() -> None:
    found = wrong("columns", "x" * 60_000, "no column " + "x" * 60_000).details
    assert len(found.model_dump_json()) < 2_000
    assert found.title == "Unprocessable Content"


def test_csv_tells_null_from_empty_and_runs_nothing() -> None:
    texts = [None, "", "=1+1", "\n=1", "＝1", "a;=1+1", 'say "hi"']
    rows = [(text, Decimal("-1.50"), date(2026, 11, 1)) for text in texts]
    page = Page("things", 1, (TABLE["label"], TABLE["amount"], TABLE["day"]), rows, None)
    written = page.written(Format.CSV).decode()
    assert written.startswith('label,amount,day\r\n,-1.50,2026-11-01\r\n"",-1.50,2026-11-01\r\n"\'=1+1",')
    read = [row[0] for row in csv.reader(io.StringIO(written, newline=""))][1:]
    assert read == ["", "", "'=1+1", "'\n=1", "'＝1", "a;=1+1", 'say "hi"']
    assert '"a;=1+1"' in written


def test_no_secret_is_said_and_no_secret_stops_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        "SHOP_URL": "postgresql://extractor:shop-secret@db.example/shop",
        "WAREHOUSE_URL": "host=db.example user=loader password=loader-secret dbname=warehouse",
        "ANALYST_URL": "postgresql://analyst:analyst%2Fsecret@db.example/warehouse",
        "CACHE_URL": "redis://:cache-secret@cache.example:6379/0",
    }
    for name, url in secrets.items():
        monkeypatch.setenv(f"STOCKTAKE_{name}", url)
    settings.cache_clear()
    try:
        said = redacted(" ".join(secrets.values()) + " shop-secret loader-secret analyst/secret cache-secret")
    finally:
        settings.cache_clear()
    assert "secret" not in said
    assert said.endswith("*** *** *** ***")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("CACHE_URL", "valkey://cache.example:6379/0", "redis://"),
        ("CACHE_URL", "cache.example:6379", "redis://"),
        ("CACHE_URL", "unix:///tmp/redis.sock", "redis://"),
        ("CACHE_URL", "redis://:a-secret/of-it@cache.example:6379/0", "redis://"),
        ("CACHE_URL", "redis://cache.example:port/0", "redis://"),
        ("API_RATE", "10/second;600/minute", "600/minute"),
        ("API_RATE", "0/minute", "600/minute"),
        ("API_RATE", "many", "600/minute"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    with pytest.raises(ValidationError) as error:
        _settings(monkeypatch, name, value)
    assert says in str(error.value)
    assert "a-secret" not in str(error.value)


def test_a_cache_that_is_set_to_nothing_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _settings(monkeypatch, "CACHE_URL", "").cache_url is None
    assert _settings(monkeypatch, "CACHE_URL", "rediss://user:pass%2Fword@cache.example/1").cache_url is not None


def _settings(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> Any:
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", "postgresql://extractor@shop.invalid/shop")
    monkeypatch.setenv("STOCKTAKE_WAREHOUSE_URL", "postgresql://loader@warehouse.invalid/warehouse")
    monkeypatch.setenv(f"STOCKTAKE_{name}", value)
    settings.cache_clear()
    try:
        return settings()
    finally:
        settings.cache_clear()


def test_two_warehouses_on_one_cache_have_keys_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    prefixes = set()
    for url in ("postgresql://a@db.example/one", "postgresql://a@db.example/two", "postgresql://a@other.example/one"):
        monkeypatch.setenv("STOCKTAKE_ANALYST_URL", url)
        _settings(monkeypatch, "API_RATE", "1/minute")
        caching.key_prefix.cache_clear()
        prefixes.add(caching.key_prefix())
    settings.cache_clear()
    caching.key_prefix.cache_clear()
    assert len(prefixes) == 3
    assert json.dumps(sorted(prefixes)).isascii()


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        (Column("spent", Type.CENTS, "Of a shop of two decimals."), Decimal(0), "0.00"),
        (Column("spent", Type.CENTS, "Of a shop of three.", decimals=3), Decimal("12.5"), "12.500"),
        (Column("kilos", Type.UNITS, "To the gram.", unit_decimals=3), Decimal("1.5"), "1.500"),
        (Column("pieces", Type.UNITS, "Whole ones."), Decimal(2**60), 2**60),
        (Column("number", Type.INTEGER, "A sum is a numeric."), Decimal(7), 7),
        (Column("share", Type.RATIO, "Of two amounts."), Decimal("0.25"), 0.25),
        (Column("share", Type.RATIO, "Unknown.", nullable=True), None, None),
    ],
)
def test_a_sum_is_shown_as_its_column_would_be(column: Column, value: Any, expected: Any) -> None:
    found = shown(column, value_of(column, value))
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize("name", METRICS)
def test_a_figure_asks_for_what_it_takes_and_for_nothing_else(name: str) -> None:
    metric = METRICS[name]
    used = {field for _, field, _, _ in Formatter().parse(metric.sql) if field}
    means = {Parameter.FROM: "first", Parameter.TO: "last", Parameter.CURRENCY: "of_currency", Parameter.LIMIT: "limit"}
    assert used == {means[parameter] for parameter in metric.takes}
    read = set(re.findall(r"\b(?:reporting|audit)\.\w+", metric.sql))
    assert read == set(metric.tables)


def test_a_figure_in_a_currency_is_written_with_it() -> None:
    asked = Asked(date(2026, 3, 1), date(2026, 3, 31), "EUR", 5)
    written = METRICS["discount_codes"].written(asked)
    assert "where day between '2026-03-01'::date and '2026-03-31'::date and currency = 'EUR'" in written
    assert "currency = " not in METRICS["discount_codes"].written(replace(asked, currency=None))
