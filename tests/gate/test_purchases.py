"""Purchase orders in a night: a cost without a currency, and what a day already knew of a line."""

from __future__ import annotations

import pytest

from tests.nights import FEW, LAST_DAY, Nights

ON_ORDER = """
select sum(open_units)::bigint, count(*) filter (where status = 'overdue'), min(status) from reporting.incoming_stock
where purchase_order_line_id = %s
"""


@pytest.fixture
def built_tables() -> tuple[str, ...]:
    """A few, and the one that is made of purchase orders."""
    return (*FEW, "incoming_stock")


@pytest.mark.after_a_night
@pytest.mark.long
def test_what_happens_to_a_line(nights: Nights) -> None:
    """Its cost loses its currency; then it comes the day after the night, which the night does not know."""
    [(line, units)] = nights.shop.execute(
        "select purchase_order_line_id, quantity from purchase_order_lines where received = 0 and cancelled_at is null"
        " order by 1 limit 1"
    ).fetchall()
    assert nights.ask(ON_ORDER, line)[0][0] == units

    nights.shop.execute("alter table purchase_order_lines alter currency drop not null")
    nights.shop.execute(
        "update purchase_order_lines set currency = null, updated_at = now() where purchase_order_line_id = %s", [line]
    )
    nights.run()
    held = "select distinct rules from audit.quarantine where source = 'purchase_order_lines' and outcome = 'open'"
    assert nights.ask(held) == [(["currency_filled"],)]
    assert nights.ask(ON_ORDER, line)[0][0] is None

    came = "update purchase_order_lines set currency = 'EUR', received = quantity, updated_at = now(), received_at = "
    after = f"{came} %s::date + interval '30 hours' where purchase_order_line_id = %s"
    nights.shop.execute(after.encode(), [LAST_DAY, line])
    nights.run()
    assert nights.ask(ON_ORDER, line)[0][0] == units

    on_the_day = f"{came} %s::date + interval '6 hours' where purchase_order_line_id = %s"
    nights.shop.execute(on_the_day.encode(), [LAST_DAY, line])
    nights.run()
    assert nights.ask(ON_ORDER, line) == [(0, 0, "received")]
    incremental = nights.published()
    nights.run(full_refresh=True)
    assert nights.published() == incremental
