"""A warehouse behind PgBouncer in transaction mode: every transaction may have another session of the server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from include.ledger.locks import held
from include.settings import settings
from tests.nights import Nights
from tests.pooler import BOUNCER, pooler

pytestmark = [pytest.mark.long, pytest.mark.skipif(BOUNCER is None, reason="Debian's pgbouncer is not here")]


@pytest.fixture
def pooled(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nights]:
    """The same nights, whose loader reaches the warehouse through a pooler with few sessions."""
    with pooler(settings().warehouse_url.get_secret_value(), sessions=12) as url:
        monkeypatch.setenv("STOCKTAKE_WAREHOUSE_URL", url)
        settings.cache_clear()
        yield nights
    settings.cache_clear()


def test_nights_run_through_a_pooler(pooled: Nights) -> None:
    pooled.run()
    pooled.shop.execute("update orders set channel = 'store', updated_at = now() where order_id = 7")
    pooled.run()
    assert pooled.ask("select channel from reporting.orders where order_id = 7") == [("store",)]
    assert pooled.ask("select distinct verdict from reporting.data_status where rows is not null") == [("ok",)]
    with held("publish") as taken:
        taken.must_hold()
