"""A shop that was alone in its deployment, and is one of several from now on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.settings import all_settings, settings
from include.settings.shops import of_shop, shop_names
from tests.nights import Nights
from tests.pipeline.test_republish import TOMORROW, let_a_day_pass


@pytest.fixture
def one_of_several(nights: Nights, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Nights]:
    """The shop after a night of its own, as .env and shops.env now call it ``berlin``, beside a new one."""
    for name in ("SHOP_URL", "WAREHOUSE_URL", "LAKE", "TIMEZONE"):
        monkeypatch.setenv(f"STOCKTAKE_BERLIN__{name}", os.environ[f"STOCKTAKE_{name}"])
        monkeypatch.delenv(f"STOCKTAKE_{name}")
    monkeypatch.delenv("STOCKTAKE_REPORTS")
    monkeypatch.setenv("STOCKTAKE_SHOPS", '["berlin", "lima"]')
    monkeypatch.setenv("STOCKTAKE_LAKE", str(tmp_path / "shops" / "lake"))
    monkeypatch.setenv("STOCKTAKE_LIMA__SHOP_URL", "postgresql://reader@shop.invalid/lima")
    monkeypatch.setenv("STOCKTAKE_LIMA__WAREHOUSE_URL", "postgresql://loader@warehouse.invalid/lima")
    _forget()
    yield nights
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    shop_names.cache_clear()
    settings.cache_clear()


@pytest.mark.after_a_night
def test_its_next_night_goes_on_where_its_last_one_ended(one_of_several: Nights, tmp_path: Path) -> None:
    """It reads what changed alone, and its ledger and its lake go on."""
    assert all_settings()["lima"].lake == str(tmp_path / "shops" / "lake" / "lima")
    let_a_day_pass(one_of_several)
    known = one_of_several.ask("select max(clean_rows) from audit.source_counts where source = 'orders'")[0][0]
    with of_shop("berlin"):
        run = one_of_several.run(TOMORROW)
    read = "select extracted from audit.source_counts where source = 'orders' and run_id = %s"
    assert 0 < one_of_several.ask(read, run)[0][0] < known / 10
    runs = one_of_several.ask("select dag, state from audit.runs order by started_at")
    assert runs == 2 * [("nightly", "success"), ("features", "success")]
    assert not (tmp_path / "shops").exists()
