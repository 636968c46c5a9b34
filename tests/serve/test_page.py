"""What an operator reads on the page of a night."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import psycopg
import pytest

from include.extract.completeness import Comparison, Incomplete, ShopSums
from include.ledger import reconciliation, runs
from include.ledger.listener import described
from include.ledger.reconciliation import Proof
from include.ledger.runs import Run
from include.serve import page
from include.serve.rendering import NO_BREAK
from include.settings import settings
from tests.conftest import Database
from tests.serve.conftest import NIGHT, accepted, extracted, hold, published

RUN_ID = "scheduled__2026-11-22T01:00:00+00:00"
GATE = (
    "accept: the gate stops this night; yesterday's tables stay. "
    "orders, rule status_known: 900 rows, such as 1, 2 | refunds: 50 of 60 rows would be in quarantine"
)


class Reader(HTMLParser):
    """What a person reads on a page: cells of each table by section, the text, and everything it would load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.section = ""
        self.rows: dict[str, list[list[str]]] = {}
        self.words: list[str] = []
        self.loads: list[str] = []
        self.tags: set[str] = set()
        self._skip = self._in_cell = False
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """A tag begins."""
        self.tags.add(tag)
        given = dict(attributes)
        self._skip = tag in ("style", "script")
        if tag == "h2":
            self.section = given.get("id") or ""
        if tag == "tr":
            self.rows.setdefault(self.section, []).append([])
        if tag in ("td", "th"):
            self.rows[self.section][-1].append("")
            self._in_cell = True
        self.loads += [value or "" for name, value in attributes if name in ("src", "href", "srcset", "data", "action")]

    def handle_endtag(self, tag: str) -> None:
        """A tag ends."""
        self._skip = self._skip and tag not in ("style", "script")
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        """Text."""
        if self._skip:
            return
        self.words.append(data)
        if self._in_cell:
            rows = self.rows[self.section]
            rows[-1][-1] = f"{rows[-1][-1]} {data}".strip()

    def row(self, section: str, first: str) -> list[str]:
        """The row of a section's tables that begins with ``first``."""
        (found,) = [row for row in self.rows[section] if row[0] == first]
        return found


def read(run_id: str) -> Reader:
    return Reader(page.render(run_id))


def test_a_published_night_is_told_in_figures(ledger: Database) -> None:
    published(ledger, RUN_ID)
    night = read(RUN_ID)
    assert night.text.startswith(
        "Night of 2026-11-21 · Stocktake Published "
        "Published: the tables cover whole days up to 2026-11-21; 2 rows are in quarantine."
    )
    assert RUN_ID in night.text
    assert "2026-11-22 02:00:00 CET" in night.text, "the snapshot, in the shop's time zone"
    assert night.row("sources", "orders") == [
        *("orders", "1,000", "998", "2", "0", "0", "0", "1,000", "998", "2", "yes"),
    ]
    assert night.row("tables", "reporting.orders") == ["reporting.orders", "998", "321", "123", "5"]
    assert {row[0] for row in night.rows["seconds"]} == {"extract", "accept", "build orders", "audit"}


def test_the_quarantine_is_told_by_rule_and_currencies_are_never_added(ledger: Database) -> None:
    published(ledger, RUN_ID)
    text = read(RUN_ID).text.replace(NO_BREAK, " ")
    assert "orders: 2 rows, new (110.00 EUR · 70.00 USD)" in text
    assert "2 rows, new · 110.00 EUR · 70.00 USD total_equals_parts" in text
    assert "1 row, new · 110.00 EUR status_known A status is one of the five." in text
    assert "180.00" not in text
    assert "7001 status_known total_equals_parts 110.00 EUR" in text, "a sample has every rule it broke"
    assert "total_cents 11000" in text


def test_a_row_of_no_currency_is_not_given_one(ledger: Database) -> None:
    published(ledger, RUN_ID)
    hold(ledger, RUN_ID, "7003", ["currency_filled"], "3.00", None)
    assert "3.00 of no currency · 110.00 EUR · 70.00 USD" in read(RUN_ID).text.replace(NO_BREAK, " ")


def test_what_was_released_is_told_and_no_longer_held(ledger: Database) -> None:
    published(ledger, RUN_ID)
    night = read(RUN_ID)
    (released,) = [row for row in night.rows["quarantine"] if row[0] == "orders"]
    assert released[1:] == ["released : accepted now", "1", f"5.00{NO_BREAK}EUR", "6000"]


def test_a_page_of_an_old_night_shows_the_quarantine_as_it_was(ledger: Database) -> None:
    published(ledger, RUN_ID)
    before = page.render(RUN_ID)
    runs.open_run(Run("later", NIGHT, NIGHT))
    with ledger.connect("loader") as connection:
        connection.execute(
            "update audit.quarantine set outcome = 'released', resolved_by = 'later', resolved_at = now()"
            " where quarantined_by = %s and outcome = 'open'",
            [RUN_ID],
        )
    assert page.render(RUN_ID) == before


def test_broken_rules_come_first_and_the_gravest_of_them(ledger: Database) -> None:
    published(ledger, RUN_ID)
    night = read(RUN_ID)
    rules = [row for row in night.rows["rules"] if row[0] != "Rule"]
    assert [row[0] for row in rules[:4]][:3] == ["total_equals_parts", "status_known", "email_filled"]
    assert [row[2] for row in rules[:3]] == ["quarantine", "quarantine", "warn"]
    assert rules[0] == [
        *("total_equals_parts", "source.orders", "quarantine", "2", "1,000"),
        *("The total is the sum of its parts.", "7001, 7002"),
    ]
    assert len(rules) > 30, "every rule that was kept is there too"
    assert all(row[2] == "0" for row in rules[3:])
    assert "details" in night.tags


def test_a_proof_that_failed_comes_first_with_both_sides(ledger: Database) -> None:
    run = published(ledger, RUN_ID)
    sound = Proof("days_equal_orders", "They add up.", ("orders", "daily_sales"), 60, 0, {"orders": (998, 998)})
    said = "order_id 7: units 4 in order_lines, 2 in orders"
    sides, totals = ("order_lines", "orders"), {"lines": (9, 9), "units": (1004, 1002)}
    reconciliation.record(run.run_id, [sound, Proof("orders_equal_lines", "They too.", sides, 998, 1, totals, [said])])
    night = read(RUN_ID)
    assert [row[0] for row in night.rows["proofs"]] == [
        *("Proof", "orders_equal_lines", "days_equal_orders"),
        *("In all groups", "lines", "units", "In all groups", "orders"),
    ]
    assert night.row("proofs", "orders_equal_lines") == ["orders_equal_lines", "NO", "1", "998", "They too.", said]
    assert night.row("proofs", "units") == ["units", "1,004", "1,002"]


def test_nothing_in_the_data_becomes_markup(ledger: Database) -> None:
    run = published(ledger, RUN_ID)
    hold(ledger, RUN_ID, "7009", ["<img src=x onerror=alert(2)>"], "1.00", "<b>")
    with ledger.connect("loader") as connection:
        connection.execute("update audit.runs set error = '<svg onload=alert(3)>' where run_id = %s", [run.run_id])
        connection.execute("update audit.expectation_results set examples = array['</td><iframe>'] where broken > 0")
    night = read(RUN_ID)
    assert night.tags.isdisjoint({"script", "img", "svg", "iframe", "b"})
    for shown in ("<script>alert(1)</script>", "<img src=x", "<svg onload", "</td><iframe>"):
        assert shown in night.text


def test_a_page_loads_nothing(ledger: Database) -> None:
    html = Path(page.write(published(ledger, RUN_ID))).read_text(encoding="utf-8")
    reader = Reader(html)
    assert all(load.startswith("#") for load in reader.loads)
    assert not re.search(r"https?://|url\(|@import|//cdn", html)
    assert reader.tags.isdisjoint({"script", "link", "iframe", "img"})
    assert "default-src 'none'" in html


def test_a_stopped_night_says_why_and_what_readers_have(ledger: Database) -> None:
    published(ledger, "earlier")
    extracted(RUN_ID)
    runs.finish_run(RUN_ID, "failed", GATE)
    night = read(RUN_ID)
    assert "Stopped The gate stopped the night, nothing was published: orders, rule status_known: 900" in night.text
    assert "(and 1 more)" in night.text
    assert "refunds: 50 of 60 rows would be in quarantine" in night.text
    assert "Readers have the tables published" in night.text
    assert "up to 2026-11-21" in night.text
    assert night.row("sources", "orders") == ["orders", "1,000", *["–"] * 4, "0", "1,000", "–", "–", "–"]
    assert night.row("rules", "status_known")[3:] == ["1", "1,000", "A status is one of the five.", "7001"]
    assert "110.00" not in night.text, "the quarantine of another run is not this one's"


@pytest.mark.usefixtures("ledger")
def test_a_copy_that_does_not_heal_stops_the_night_and_says_which() -> None:
    extracted(RUN_ID)
    with pytest.raises(Incomplete) as said:
        Comparison("orders", ShopSums(3, "true", {"1": (3, 7)}), 2, {"1": (2, 5)}).must_hold()
    runs.finish_run(RUN_ID, "failed", described("extract", said.value))
    expected = "Stopped The reading of the shop stopped the night, nothing was published: orders: the shop has 3 rows"
    assert expected in read(RUN_ID).text


@pytest.mark.usefixtures("ledger")
def test_a_failed_night_says_where_and_with_what() -> None:
    extracted(RUN_ID)
    runs.finish_run(RUN_ID, "failed", "extract: ConnectionError: no connection to the shop")
    night = read(RUN_ID)
    expected = "Failed in extract, nothing was published: ConnectionError: no connection to the shop"
    assert expected in night.text
    assert "Nothing had been published before either." in night.text


@pytest.mark.usefixtures("ledger")
def test_a_dry_run_says_so() -> None:
    html = Path(page.write(accepted(RUN_ID, dry_run=True))).read_text(encoding="utf-8")
    night = Reader(html)
    assert "Dry run: everything up to publishing went through, nothing was published" in night.text
    assert "2 rows would be in quarantine" in night.text
    assert night.row("tables", "reporting.orders") == ["reporting.orders", "998", "–", "–", "5"]


def test_an_incomplete_copy_is_the_verdict(ledger: Database) -> None:
    published(ledger, RUN_ID)
    with ledger.connect("loader") as connection:
        connection.execute("update audit.source_counts set clean_rows = 997 where source = 'orders'")
    night = read(RUN_ID)
    assert "Published, incomplete" in night.text
    assert "the copy of orders does not hold exactly the rows of the shop" in night.text
    assert night.row("sources", "orders")[-1] == "NO"


def test_a_run_that_was_started_anew_does_not_claim_its_first_publication(ledger: Database) -> None:
    published(ledger, RUN_ID)
    accepted(RUN_ID)
    runs.finish_run(RUN_ID, "failed", "publish: OperationalError: gone")
    night = read(RUN_ID)
    assert "Failed in publish, nothing was published" in night.text
    assert "Readers have the tables published" in night.text


def test_the_last_task_does_not_call_a_night_unfinished(ledger: Database) -> None:
    run = extracted(RUN_ID)
    assert "Not finished yet; last finished: extract." in read(RUN_ID).text
    assert "without a publication" in Path(page.write(run)).read_text(encoding="utf-8")
    published(ledger, "other", state="running")
    assert "Published:" in read("other").text


def test_a_page_is_replaced_by_the_next_attempt(ledger: Database) -> None:
    run = extracted(RUN_ID)
    first = Path(page.write(run))
    assert first == Path(settings().reports) / "scheduled__2026-11-22T01~3a~00~3a~00~2b~00~3a~00" / "index.html"
    published(ledger, RUN_ID)
    assert page.write(run) == str(first)
    assert "Published:" in first.read_text(encoding="utf-8")
    assert [file.name for file in first.parent.iterdir()] == ["index.html"]


@pytest.mark.usefixtures("ledger")
def test_passwords_are_never_shown() -> None:
    extracted(RUN_ID)
    error = "extract: IOException: postgresql://extractor:hunter22@db/shop password='x y' unused-secret"
    runs.finish_run(RUN_ID, "failed", error)
    html = page.render(RUN_ID)
    assert "postgresql://extractor:***@db/shop" in html
    assert not re.search(r"hunter22|x y|unused-secret", html)


@pytest.mark.usefixtures("ledger")
def test_an_unknown_run_is_named() -> None:
    with pytest.raises(KeyError, match="the ledger has no run 'manual__x'"):
        page.write(Run("manual__x", NIGHT, NIGHT))
    assert not list(Path(settings().reports).rglob("*.html"))
    assert not list(Path(settings().reports).rglob("index.*"))


def test_before_the_first_night_there_is_no_run(ledger: Database) -> None:
    with ledger.connect("loader") as connection:
        connection.execute("drop schema audit cascade")
    with pytest.raises(KeyError, match="no night has begun yet"):
        page.render(RUN_ID)
    assert "No night has begun yet" in page.render_runs("/")
    assert "No night has begun yet" in page.render_status("/")


@pytest.mark.usefixtures("ledger")
def test_a_warehouse_out_of_reach_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    run = extracted(RUN_ID)
    monkeypatch.setenv("STOCKTAKE_WAREHOUSE_URL", "postgresql://loader:hunter22@127.0.0.1:1/warehouse")
    settings.cache_clear()
    with pytest.raises(ConnectionError, match="no connection to the warehouse") as refused:
        page.write(run)
    assert "hunter22" not in str(refused.value)


def test_a_page_changes_nothing_in_the_warehouse(ledger: Database) -> None:
    published(ledger, RUN_ID)
    with ledger.connect("loader") as connection:
        connection.execute("alter database " + ledger.name + " set default_transaction_read_only = on")
    page.render(RUN_ID)
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        runs.finish_run(RUN_ID, "failed")
