"""A clock that was ahead for a night: both instants are said, and a full refresh takes over for good."""

from __future__ import annotations

import pytest

from include.ledger import copies, runs
from include.ledger.runs import Overtaken
from include.pipeline import nightly
from tests.nights import LAST_DAY, Nights


@pytest.fixture
def built_tables() -> tuple[str, ...]:
    """What a night needs to publish something."""
    return ("order_lines", "orders")


def put_ahead(nights: Nights) -> None:
    """As if the shop's clock had been two days ahead when the last night read it."""
    for table, columns in (
        ("runs", "snapshot_at = snapshot_at + interval '2 days', changed_until = changed_until + interval '2 days'"),
        ("publications", "snapshot_at = snapshot_at + interval '2 days'"),
        ("watermarks", "changed_until = changed_until + interval '2 days'"),
    ):
        nights.warehouse.execute(f"update audit.{table} set {columns}".encode())


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_clock_that_was_ahead_holds_nobody_up_for_good(nights: Nights) -> None:
    put_ahead(nights)
    [(theirs,)] = nights.ask("select max(snapshot_at) from audit.publications")
    run = nights.begin()
    nightly.extract(run)
    nights.judge(run)
    ours, _ = copies.snapshot_of(run)
    with pytest.raises(Overtaken) as refused:
        nightly.accept(run)
    said = str(refused.value)
    assert f"it read the shop at {theirs}" in said
    assert f"this one read it at {ours}" in said
    assert "a clock was ahead then. Trigger nightly with full_refresh" in said

    nights.shop.execute("update orders set channel = 'store', updated_at = now() where order_id = 7")
    nights.report(full_refresh=True)
    assert nights.ask("select channel from reporting.orders where order_id = 7") == [("store",)]
    assert nights.ask("select count(*), bool_and(said_at > now()) from audit.runs where said_at is not null") == [
        (2, True)
    ]
    assert nights.ask("select bool_and(snapshot_at <= now()) from audit.publications") == [(True,)]
    assert nights.ask("select bool_and(changed_until <= now()) from audit.watermarks") == [(True,)]

    # From here on all is as ever: a row that changes is read by its watermark, and a replay finds nothing in its way.
    nights.shop.execute("update orders set channel = 'phone', updated_at = now() where order_id = 8")
    again = nights.report()
    assert nights.ask("select channel from reporting.orders where order_id = 8") == [("phone",)]
    assert nights.ask("select late from audit.source_counts where run_id = %s and source = 'orders'", again) == [(0,)]
    nights.replay()


@pytest.mark.after_a_night
@pytest.mark.long
def test_a_full_refresh_that_was_overtaken_by_the_clock_of_now_is_refused(nights: Nights) -> None:
    """Only a snapshot of the future is passed over."""
    early = nights.begin(full_refresh=True)
    nightly.extract(early)
    nights.judge(early)
    late = nights.report()
    with pytest.raises(Overtaken, match=f"run {late} is ahead and has already done accept: it read the shop at .* Run"
                       " this one again, from begin"):  # fmt: skip
        nightly.accept(early)
    assert nights.ask("select count(*) from audit.runs where said_at is not null") == [(0,)]
    assert runs.find_run(late).night == LAST_DAY
