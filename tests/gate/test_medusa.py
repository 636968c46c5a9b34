"""What the gate says to a Medusa shop: every order adds up once it is rounded, but for two that cannot."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import duckdb
import pytest

from include.extract import snapshot as extraction
from include.extract import sql_files
from include.extract.completeness import kept_proof
from include.gate.acceptance import accept
from include.gate.checks import check_source
from include.gate.versions import ALWAYS
from include.lake import tables as lake
from include.local.embedded_postgres import Cluster
from include.settings import settings
from include.sources import shop_sources
from tests.conftest import Database
from tests.contract.medusa import FOLDER, Medusa
from tests.contract.medusa_shop import fill

Rows = dict[str, dict[str, dict[str, object]]]  # by source and key


@pytest.fixture(scope="module")
def judged(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Rows]]:
    """The rows that the gate accepted, and those that it did not, of every source with a key of one column."""
    database = Database(cluster, "shop").copy()
    with database.connect("shopkeeper") as connection:
        fill(Medusa(connection))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("STOCKTAKE_SHOP_URL", database.url("extractor"))
        environment.setenv("STOCKTAKE_WAREHOUSE_URL", "postgresql://unused")
        environment.setenv("STOCKTAKE_SOURCES", str(FOLDER))
        environment.setenv("STOCKTAKE_LAKE", str(tmp_path_factory.mktemp("lake")))
        settings.cache_clear()
        sources = shop_sources(FOLDER)
        read = extraction.extract(sources, dict.fromkeys(sources, sql_files.EVERYTHING), "run")
        full = dict.fromkeys(sources, True)
        with warnings.catch_warnings():
            # Great Expectations and deltalake use what their own dependencies, or they themselves, deprecate.
            warnings.simplefilter("ignore", DeprecationWarning)
            for name in sources:
                check_source(sources, name, "run", full, read.snapshot_at.isoformat())
            accept(sources, {}, "run", full, kept_proof("run", sources), ALWAYS)
        keys = {name: source.primary_key[0] for name, source in sources.items() if len(source.primary_key) == 1}
        yield {layer: {name: rows(layer, name, key) for name, key in keys.items()} for layer in ("clean", "quarantine")}
    settings.cache_clear()
    database.drop()


def rows(layer: str, source: str, key: str) -> dict[str, dict[str, object]]:
    """Rows of a layer by key; none where nothing was written."""
    if lake.version(layer, source) is None:
        return {}
    files = [str(file) for file in lake.files(layer, source)]
    found = duckdb.read_parquet(files).to_arrow_table().to_pylist() if files else []
    return {str(row[key]): row for row in found}


def test_only_what_does_not_add_up_is_kept_aside(judged: dict[str, Rows]) -> None:
    """Half a unit, which no quantity can be, and an order with more off than it costs."""
    aside = {
        (source, key): row["_broken"] for source, rows in judged["quarantine"].items() for key, row in rows.items()
    }
    assert aside == {
        ("orders", "half a unit"): ["lines_accepted"],
        ("order_items", "half a unit/a"): ["readable", "quantity_filled", "follows_orders"],
        ("orders", "more off than it costs"): ["discount_within_subtotal"],
        ("order_items", "more off than it costs/a"): ["discount_within_line", "follows_orders"],
    }


def test_amounts_are_rounded_half_up_to_the_digits_of_their_currency(judged: dict[str, Rows]) -> None:
    """Yen are whole; of dinars three digits are read, and two are kept, as the folder's shop.toml says nothing else."""
    orders, columns = judged["clean"]["orders"], ("subtotal_cents", "tax_cents", "total_cents")
    assert [orders["fractions"][name] for name in columns] == [933, 172, 1105]
    assert [orders["half a cent"][name] for name in columns] == [13, 0, 13]
    assert [orders["in yen"][name] for name in columns] == [90_800, 9_100, 99_900]
