"""Two shops never mix: a lake, and a warehouse, of another shop is refused, and both are named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copytree

import pytest

from include.lake import tables as lake
from include.pipeline import nightly
from include.pipeline.one_shop import FILE, OtherShop
from include.settings import ROOT, settings
from tests import bookshop
from tests.conftest import Database
from tests.nights import SHOP_TOML, Nights


@pytest.fixture
def as_bookshop(
    shop_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], None]]:
    """Name the bookshop's folder and database in the settings, and nothing else, as a person does in .env."""
    folder = bookshop.write(tmp_path / "bookshop")
    (folder / "shop.toml").write_text(SHOP_TOML)
    with shop_database.connect("shopkeeper") as database:
        bookshop.fill(database)

    def change() -> None:
        monkeypatch.setenv("STOCKTAKE_SHOP_URL", shop_database.url("extractor"))
        monkeypatch.setenv("STOCKTAKE_SOURCES", str(folder))
        settings.cache_clear()

    yield change
    settings.cache_clear()


@pytest.mark.after_a_night
def test_a_lake_of_another_shop_is_refused_and_both_are_named(
    nights: Nights, as_bookshop: Callable[[], None], old_shop: Database
) -> None:
    kept = json.loads((Path(settings().lake) / FILE).read_text())
    assert (kept["folder"], "extractor" in str(kept)) == ("demo_shop", False)
    before = {name: lake.version("raw", name) for name in ("orders", "customers")}
    as_bookshop()
    with pytest.raises(OtherShop) as refused:
        nightly.extract(nights.begin())
    said = str(refused.value)
    assert f"holds the copy of the shop demo_shop ({kept['database']})" in said
    assert "and this night would read bookshop (database shop_" in said
    assert {name: lake.version("raw", name) for name in before} == before

    (Path(settings().lake) / FILE).write_text("")  # as the message says, where it is the same shop all the same
    nightly.extract(nights.begin())
    assert json.loads((Path(settings().lake) / FILE).read_text())["folder"] == "bookshop"
    assert old_shop.name not in (Path(settings().lake) / FILE).read_text()


@pytest.mark.after_a_night
def test_a_warehouse_of_another_shop_is_refused_with_a_new_lake_too(
    nights: Nights, as_bookshop: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOCKTAKE_LAKE", str(tmp_path / "new_lake"))
    as_bookshop()
    with pytest.raises(OtherShop, match="the warehouse holds what was published from the statements of another shop"):
        nightly.extract(nights.begin())


@pytest.mark.after_a_night
def test_a_shop_whose_folder_is_renamed_is_the_same(
    nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(copytree(settings().sources, tmp_path / "renamed")))
    settings.cache_clear()
    nightly.extract(nights.begin())
    assert json.loads((Path(settings().lake) / FILE).read_text())["folder"] == "renamed"


@pytest.mark.after_a_night
def test_another_database_behind_the_same_folder_is_another_shop(
    nights: Nights, shop_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two shops of one platform have the same files; the rows of one would be those that are gone from the other."""
    nightly.extract(nights.begin())
    url = settings().shop_url
    _read_from(shop_database.url("extractor"), monkeypatch)
    with shop_database.connect("shopkeeper") as database:
        database.execute((ROOT / "include" / "demo_shop" / "schema.sql").read_text().encode())
    with pytest.raises(OtherShop) as refused:
        nightly.extract(nights.begin())
    assert "holds the copy of the shop demo_shop (database " in str(refused.value)
    assert f"this night would read demo_shop (database {shop_database.name} at " in str(refused.value)

    _read_from(url.get_secret_value().replace("127.0.0.1", "localhost"), monkeypatch)  # the same, reached elsewhere
    before = json.loads((Path(settings().lake) / FILE).read_text())
    nightly.extract(nights.begin())
    now = json.loads((Path(settings().lake) / FILE).read_text())
    assert (now["database"] == before["database"], now["identity"] == before["identity"]) == (False, True)
    assert now["identity"]


def _read_from(url: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("STOCKTAKE_SHOP_URL", url)
    settings.cache_clear()
