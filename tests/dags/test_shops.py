"""Several shops: every DAG once for each, from one definition, and none of them starts another's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from include.contributing.dag_bag import environment, parsed
from include.settings import ROOT
from tests.dags.test_nightly import DAGS

BERLIN, LIMA = "berlin", "lima"


def variables(*shops: str, **more: str) -> dict[str, str]:
    """Those of a deployment of some shops."""
    found = {"STOCKTAKE_SHOPS": json.dumps(shops)}
    for shop in shops:
        found[f"STOCKTAKE_{shop.upper()}__SHOP_URL"] = f"postgresql://reader@shop.invalid/{shop}"
        found[f"STOCKTAKE_{shop.upper()}__WAREHOUSE_URL"] = f"postgresql://loader@warehouse.invalid/{shop}"
    return found | {f"STOCKTAKE_{name}": value for name, value in more.items()}


@pytest.fixture(scope="module")
def bag() -> dict[str, Any]:
    """Two shops, of which one counts no stock and has another clock."""
    return parsed(
        more=variables(
            BERLIN, LIMA, LIMA__TIMEZONE="America/Lima", LIMA__SOURCES="include/sources/complete_journey",
            LIMA__APPROVAL_HOURS="9", LIMA__QUEUES='{"extract": "far"}',
        )
    )  # fmt: skip


def test_each_has_every_dag(bag: dict[str, Any]) -> None:
    assert bag["import_errors"] == {}
    assert set(bag["dags"]) == {f"{dag}__{shop}" for dag in DAGS for shop in (BERLIN, LIMA)}


def test_each_has_its_own_clock_tables_queues_and_pool(bag: dict[str, Any]) -> None:
    berlin, lima = (bag["dags"][f"nightly__{shop}"] for shop in (BERLIN, LIMA))
    assert "America/Lima" in lima["schedule"]
    assert "America/Lima" not in berlin["schedule"]
    assert lima["dagrun_timeout"] - berlin["dagrun_timeout"] == 5 * 3600
    assert set(lima["tasks"]) < set(berlin["tasks"])
    assert {task["pool"] for task in berlin["tasks"].values()} == {"stocktake_berlin"}
    assert {task["pool"] for task in lima["tasks"].values()} == {"stocktake_lima"}
    assert (berlin["tasks"]["extract"]["queue"], lima["tasks"]["extract"]["queue"]) == ("default", "far")


def test_one_shops_tables_start_its_own_features_alone(bag: dict[str, Any]) -> None:
    for shop, other in ((BERLIN, LIMA), (LIMA, BERLIN)):
        outlets = bag["dags"][f"nightly__{shop}"]["tasks"]["publish"]["outlets"]
        assert outlets
        assert all(one.startswith(f"{shop}.reporting.") for one in outlets)
        schedule = bag["dags"][f"features__{shop}"]["schedule"]
        assert f"{shop}.reporting.daily_sales" in schedule
        assert f"{other}.reporting" not in schedule


def test_two_shops_that_would_write_to_one_place_are_an_error_of_every_file() -> None:
    found = parsed(more=variables(BERLIN, LIMA, LIMA__WAREHOUSE_URL="postgresql://loader@warehouse.invalid/berlin"))
    assert found["dags"] == {}
    assert "STOCKTAKE_BERLIN__WAREHOUSE_URL and STOCKTAKE_LIMA__WAREHOUSE_URL" in "".join(
        found["import_errors"].values()
    )


def test_a_task_makes_the_dags_of_its_shop_alone() -> None:
    of_task = {"_AIRFLOW_PARSING_CONTEXT_DAG_ID": "nightly__lima"}  # as Airflow's own process for a task has it
    assert set(parsed(more=variables(BERLIN, LIMA) | of_task)["dags"]) == {f"{dag}__lima" for dag in DAGS}


def test_a_folder_is_read_once_however_many_shops_it_is_of(tmp_path: Path) -> None:
    """Making a shop's sources of its .sql files takes 30 ms and more."""
    asked = "import dags.nightly; from include.sources import _made; print(_made.cache_info().misses)"
    done = subprocess.run(
        [sys.executable, "-c", asked],
        env=environment(str(tmp_path)) | variables(*(f"shop_{number}" for number in range(10))),
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "1"
