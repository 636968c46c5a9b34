"""The lake's folder: whatever its path has in it, and for its owner alone."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.settings import settings
from tests.nights import Nights

ODD = "a b ö%#?\"'{}*&+;$!~`<>=,@()"


@pytest.fixture
def odd_nights(nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nights]:
    """The same nights, with a lake in a folder of characters that mean something somewhere."""
    monkeypatch.setenv("STOCKTAKE_LAKE", str(tmp_path / ODD / "lake"))
    monkeypatch.setenv("STOCKTAKE_REPORTS", str(tmp_path / ODD / "reports"))
    settings.cache_clear()
    yield nights
    settings.cache_clear()


@pytest.mark.long
def test_a_night_runs_in_a_folder_of_any_name(odd_nights: Nights) -> None:
    odd_nights.run()
    odd_nights.shop.execute("update orders set channel = 'store', updated_at = now() where order_id = 7")
    odd_nights.run(engine="duckdb")
    odd_nights.run(engine="dask", full_refresh=True, parity="spark")
    assert odd_nights.ask("select channel from reporting.orders where order_id = 7") == [("store",)]
    assert odd_nights.ask("select bool_and(complete) from reporting.data_status where rows is not null") == [(True,)]
    assert Path(settings().lake).parent.name == ODD


@pytest.mark.after_a_night
@pytest.mark.long
def test_the_lake_and_the_reports_are_for_their_owner(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, reports = Path(settings().lake), Path(settings().reports)
    lake.chmod(0o755)
    nights.run()
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (lake, reports)} == {0o700}
    monkeypatch.setenv("STOCKTAKE_FOLDER_MODE", "0750")
    settings.cache_clear()
    nights.run()
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (lake, reports)} == {0o750}


def test_what_delta_cannot_open_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", "postgresql:///nowhere")
    monkeypatch.setenv("STOCKTAKE_WAREHOUSE_URL", "postgresql:///nowhere")
    for name in ("a[b", "a]b", "a\\b", "a^b", "a|b", "a%20b", "a\nb"):
        monkeypatch.setenv("STOCKTAKE_LAKE", str(tmp_path / name))
        settings.cache_clear()
        with pytest.raises(ValueError, match="Delta keeps no tables in a folder with"):
            settings()
    settings.cache_clear()
