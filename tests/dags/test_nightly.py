"""The DAGs, as Airflow reads them: which there are, what an operator is told, how patient a task is, and the graph."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from include.contributing.dag_bag import environment, parsed
from include.pipeline.explanation import FORM as EXPLANATION_FORM
from include.pipeline.exports import FORM as EXPORTS_FORM
from include.pipeline.housekeeping import FORM as HOUSEKEEPING_FORM
from include.pipeline.replay import FORM as REPLAY_FORM
from include.pipeline.republish import FORM as REPUBLISH_FORM
from include.pipeline.run_request import FORM
from include.pipeline.slice_removal import FORM as REMOVAL_FORM
from include.pipeline.tables_dag import FORM as FEATURES_FORM
from include.pipeline.training_set import FORM as TRAINING_FORM
from include.settings import ROOT
from include.sources import SOURCES
from transforms.engines import ENGINES
from transforms.registry import TABLES

DAGS = {
    "day_closed",
    "explain_day",
    "exports",
    "features",
    "housekeeping",
    "nightly",
    "remove_slices",
    "replay",
    "republish",
    "training_set",
    "watch",
}
RUN_BOOK = ("When", "Running it again", "Parameters", "When it is red")
# Airflow looks up the errors that are worth another try (pipeline/task_defaults.py) when it reads them. That loads
# psycopg, duckdb and deltalake in 0.13 s together; any of these would cost several times as much.
HEAVY = ("pandas", "numpy", "pyarrow", "great_expectations", "dask", "pyspark")

# `validates` has a task for every source, `builds` one for every table, after those that it is made from.
GRAPH = """
begin           >> extract
extract         >> validates
validates       >> check_tolerance
check_tolerance >> approve
approve         >> accept
accept          >> builds
builds          >> audit
audit           >> publish
publish         >> report
"""

FEATURES_GRAPH = """
begin   >> builds
builds  >> audit
audit   >> publish
publish >> report
"""

REPORTING = sorted(one.table.qualified_name for one in TABLES.values() if one.table.schema == "reporting")
FEATURES = sorted(one.table.qualified_name for one in TABLES.values() if one.table.schema == "features")

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"engine": "excel"}, "param engine: 'excel' is not one of"),
    ({"engine": ""}, "param engine: '' is not one of"),
    ({"engine": None}, "param engine: None is not"),
    ({"date": "21.11.2026"}, "param date: '21.11.2026' is not a 'date'"),
    ({"date": "2026-02-30"}, "param date: '2026-02-30' is not a 'date'"),
    ({"date": "yesterday"}, "param date: 'yesterday' is not a 'date'"),
    ({"date": ""}, "param date: '' is not a 'date'"),
    ({"date": 20261121}, "param date: 20261121 is not of type 'null', 'string'"),
    ({"full_refresh": "yes"}, "param full_refresh: 'yes' is not of type 'boolean'"),
    ({"dry_run": 1}, "param dry_run: 1 is not of type 'boolean'"),
]
ACCEPTED: list[dict[str, Any]] = [
    {},
    {"date": None},
    {"date": "2026-11-21"},
    *({"engine": engine, "parity": engine} for engine in ENGINES),
    {"engine": "auto", "parity": None},
    {"date": "2024-02-29", "engine": "pandas", "full_refresh": True, "dry_run": True},
]

CARELESS = """
    from airflow.sdk import DAG, task
    with DAG("careless", schedule=None, doc_md="# careless") as dag:
        @task
        def work(): ...
        work()
"""


@pytest.fixture(scope="module")
def bag() -> dict[str, Any]:
    return parsed(forms=[form for form, _ in REFUSED] + ACCEPTED)


@pytest.fixture(scope="module")
def nightly(bag: dict[str, Any]) -> Any:
    return bag["dags"]["nightly"]


@pytest.fixture(scope="module")
def features(bag: dict[str, Any]) -> Any:
    return bag["dags"]["features"]


@pytest.fixture(scope="module")
def careless(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A bag that breaks every rule below, and a file in it that cannot be imported."""
    folder = tmp_path_factory.mktemp("dags")
    (folder / "careless.py").write_text("\n".join(line[4:] for line in CARELESS.splitlines()))
    (folder / "broken.py").write_text("from airflow.sdk import DAG, Nothing")
    return parsed(folder)


def test_these_dags_there_are_and_no_others(bag: dict[str, Any], careless: dict[str, Any]) -> None:
    assert bag["import_errors"] == {}
    assert set(bag["dags"]) == DAGS
    assert all(bag["dags"][name]["tasks"] for name in DAGS)
    assert set(careless["dags"]) == {"careless"}
    assert "broken.py" in "".join(careless["import_errors"])


def test_every_file_in_the_folder_is_a_dag(bag: dict[str, Any]) -> None:
    files = {file.name for file in (ROOT / "dags").glob("*.py")} - {
        "shops.py",
        "steps.py",
        "tables.py",
    }  # what DAGs share
    assert files == {Path(dag["file"]).name for dag in bag["dags"].values()} == {f"{name}.py" for name in DAGS}


def lacks(dag_id: str, dag: Mapping[str, Any]) -> set[str]:
    """What an operator or the scheduler would miss in a DAG."""
    doc, missing = dag["doc_md"] or "", set()
    if not doc.startswith(f"# {dag_id}: "):
        missing.add("a title")
    missing |= {section for section in RUN_BOOK if not re.search(rf"^\*\*{section}\*\* ", doc, re.MULTILINE)}
    missing |= {f"parameter {name} in the run-book" for name in dag["params"] if f"| `{name}` |" not in doc}
    if not {"stocktake", dag_id} <= set(dag["tags"]):
        missing.add("tags")
    if not dag["dagrun_timeout"]:
        missing.add("a timeout of the run")
    for task_id, task in dag["tasks"].items():
        if task["owner"] != "stocktake":
            missing.add(f"{task_id}: owner")
        if not task["doc"]:
            missing.add(f"{task_id}: docstring")
        # A person may take as long as a person takes.
        if not task["execution_timeout"] and task["operator"] != "Approval":
            missing.add(f"{task_id}: timeout")
        if not (task["retries"] and task["retry_exponential_backoff"] > 1 and task["max_retry_delay"]):
            missing.add(f"{task_id}: retries that grow")
        if not task["has_retry_policy"]:
            missing.add(f"{task_id}: what is worth another try")
    return missing


def test_nothing_is_missing_in_any_dag(bag: dict[str, Any]) -> None:
    assert {name: lacks(name, dag) for name, dag in bag["dags"].items()} == {name: set() for name in DAGS}


def test_what_is_missing_would_be_found(careless: dict[str, Any]) -> None:
    assert lacks("careless", careless["dags"]["careless"]) == {
        "a title",
        *RUN_BOOK,
        "tags",
        "a timeout of the run",
        "work: owner",
        "work: docstring",
        "work: timeout",
        "work: retries that grow",
        "work: what is worth another try",
    }


def edges(dag: Mapping[str, Any]) -> dict[str, list[str]]:
    return {name: task["downstream"] for name, task in dag["tasks"].items() if task["downstream"]}


def drawn(graph: str, **groups: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    """The edges of a drawn graph.

    Args:
        graph: an edge a line.
        groups: the tasks of each group, with those of it that a task comes after. An edge into the group leads to the
            first of them, one out of it comes from the last.
    """
    firsts: dict[str, list[str]] = {}
    lasts: dict[str, list[str]] = {}
    found: dict[str, list[str]] = {}
    for group, tasks in groups.items():
        after = {name: [f"{group}.{other}" for other in tasks if name in tasks[other]] for name in tasks}
        firsts[group] = [f"{group}.{name}" for name in tasks if not tasks[name]]
        lasts[group] = [f"{group}.{name}" for name in tasks if not after[name]]
        found |= {f"{group}.{name}": sorted(others) for name, others in after.items() if others}
    for left, right in (map(str.strip, line.split(">>")) for line in graph.strip().splitlines()):
        found |= {one: sorted(firsts.get(right, [right])) for one in lasts.get(left, [left])}
    return found


def made_from(layer: str) -> dict[str, set[str]]:
    """The tables of a layer, with those of the same layer that each is made from."""
    names = {name for name, one in TABLES.items() if one.table.schema == layer}
    return {name: {one.name for one in TABLES[name].inputs if one.is_published} & names for name in names}


def test_the_graph_is_the_drawn_one(nightly: Mapping[str, Any]) -> None:
    validates: dict[str, set[str]] = {name: set() for name in SOURCES}
    expected = drawn(GRAPH, validates=validates, builds=made_from("reporting"))
    assert edges(nightly) == expected
    assert set(nightly["tasks"]) == {*expected, "report"}
    assert expected["builds.customers"] == ["builds.customer_rfm"]
    assert expected["builds.customer_rfm"] == ["audit"]


def test_a_night_that_needs_no_approval_goes_on_without_one(nightly: Mapping[str, Any]) -> None:
    """Where nobody has to be asked approve is skipped, and accept must run all the same; after a no it must not."""
    assert nightly["tasks"]["accept"]["trigger_rule"] == "none_failed"
    assert nightly["tasks"]["approve"]["operator"] == "Approval"
    assert nightly["tasks"]["approve"]["execution_timeout"] is None


def test_the_report_is_written_whatever_came_of_the_night(nightly: Mapping[str, Any]) -> None:
    assert [name for name, task in nightly["tasks"].items() if task["is_teardown"]] == ["report"]
    assert nightly["tasks"]["report"]["fails_the_run"]


def test_publishing_announces_every_table(nightly: Mapping[str, Any]) -> None:
    announcing = {name: task["outlets"] for name, task in nightly["tasks"].items() if task["outlets"]}
    assert announcing == {"publish": REPORTING}


def test_the_graph_of_the_features_is_the_drawn_one(features: Mapping[str, Any]) -> None:
    expected = drawn(FEATURES_GRAPH, builds=made_from("features"))
    assert edges(features) == expected
    assert set(features["tasks"]) == {*expected, "report"}


def test_features_start_from_all_that_a_night_publishes_and_announce_their_own(features: Mapping[str, Any]) -> None:
    assert "PartitionedAssetTimetable" in features["schedule"]
    assert features["starts_from"] == REPORTING
    assert (features["max_active_runs"], features["catchup"], features["is_paused_upon_creation"]) == (1, False, False)
    announcing = {name: task["outlets"] for name, task in features["tasks"].items() if task["outlets"]}
    assert announcing == {"publish": FEATURES}
    assert [name for name, task in features["tasks"].items() if task["is_teardown"]] == ["report"]


def test_no_report_waits_for_a_feature() -> None:
    """What a table is made from is in clean or in reporting; and a feature set is a slice."""
    assert REPORTING
    assert FEATURES
    for one in TABLES.values():
        layers = {layer for layer, _ in one.layers.values()}
        assert layers <= {"clean", "reporting"}
        assert one.table.schema == "reporting" or one.table.rebuild.kind == "as_of"


def test_a_shop_without_stock_has_a_night_without_it() -> None:
    dags = parsed(sources="include/sources/complete_journey")["dags"]
    made_of_stock = {"inventory_daily", "inventory_health", "stockouts", "kit_availability"}
    missing = {"validates.inventory", "validates.inventory_movements", *(f"builds.{name}" for name in made_of_stock)}
    expected = {f"validates.{name}" for name in SOURCES}
    expected |= {f"builds.{name}" for name, one in TABLES.items() if one.table.schema == "reporting"}
    assert {name for name in dags["nightly"]["tasks"] if "." in name} == expected - missing
    assert {name for name in dags["features"]["tasks"] if "." in name} == {
        "builds.customer_activity",
        "builds.customer_labels",
    }
    assert dags["features"]["starts_from"] == dags["nightly"]["tasks"]["publish"]["outlets"]


def test_a_training_set_is_checked_and_then_written(bag: dict[str, Any]) -> None:
    dag = bag["dags"]["training_set"]
    assert edges(dag) == {"check": ["write"]}
    assert "NullTimetable" in dag["schedule"]
    assert tuple(dag["params"]) == TRAINING_FORM


def test_an_export_is_written_when_the_api_says_which(bag: dict[str, Any]) -> None:
    dag = bag["dags"]["exports"]
    assert list(dag["tasks"]) == ["write"]
    assert "NullTimetable" in dag["schedule"]
    assert (dag["max_active_runs"], dag["is_paused_upon_creation"]) == (2, False)
    assert tuple(dag["params"]) == EXPORTS_FORM
    assert dag["params"]["export"] == {
        "default": None,
        "description": "Which export is written: its id.",
        "schema": {"type": "string", "format": "uuid"},
    }


def test_housekeeping_is_on_sundays_far_from_any_night(bag: dict[str, Any]) -> None:
    """Rows go from the tables first, then from the ledger, then files that nothing names any more."""
    dag = bag["dags"]["housekeeping"]
    assert edges(dag) == {
        "check": ["compact"], "compact": ["runs"], "runs": ["entries"], "entries": ["exports"], "exports": ["files"],
    }  # fmt: skip
    for part in ("CronTriggerTimetable", "'0 16 * * SUN'", "timezone='UTC'"):
        assert part in dag["schedule"]
    assert (dag["max_active_runs"], dag["catchup"]) == (1, False)
    assert tuple(dag["params"]) == HOUSEKEEPING_FORM
    assert dag["params"]["dry_run"]["default"] is False
    assert dag["is_paused_upon_creation"] is False


def test_watch_looks_every_five_minutes_and_only_where_somebody_is_told(bag: dict[str, Any]) -> None:
    dag = bag["dags"]["watch"]
    assert (list(dag["tasks"]), dag["params"]) == (["look"], {})
    for part in ("CronTriggerTimetable", "'*/5 * * * *'"):
        assert part in dag["schedule"]
    assert (dag["max_active_runs"], dag["catchup"], dag["is_paused_upon_creation"]) == (1, False, False)
    assert set(parsed(alerts="[]")["dags"]) == DAGS - {"watch"}


def test_a_closed_day_begins_a_night_only_where_the_shop_says_so(bag: dict[str, Any]) -> None:
    dag = bag["dags"]["day_closed"]
    assert edges(dag) == {"announced": ["begin"]}
    assert (dag["starts_from"], dag["params"], dag["is_paused_upon_creation"]) == (["day_closed"], {}, False)
    for part in ("AssetTriggeredTimetable", "OutboxTrigger table=stocktake_outbox"):
        assert part in dag["schedule"]
    of_kafka = parsed(day_closed="kafka://closed-days")["dags"]["day_closed"]["schedule"]
    assert "MessageTrigger scheme=kafka, name=closed-days" in of_kafka
    without = parsed(day_closed="")["dags"]
    assert set(without) == DAGS - {"day_closed"}
    assert not any("watchers=[AssetWatcher" in one["schedule"] for one in without.values())


def test_a_run_that_fails_calls_back_where_somebody_is_told(bag: dict[str, Any]) -> None:
    calling = {name for name, dag in bag["dags"].items() if dag["calls_back"]}
    assert calling == {"nightly", "features"}
    assert not any(dag["calls_back"] for dag in parsed(alerts="[]")["dags"].values())


def test_a_task_goes_to_the_queue_of_its_table_or_of_its_step(bag: dict[str, Any]) -> None:
    assert {task["queue"] for dag in bag["dags"].values() for task in dag["tasks"].values()} == {"default"}
    asked = {"extract": "large", "builds": "large", "inventory_daily": "spark", "orders": "large", "begin": "quick"}
    dags = parsed(queues=json.dumps(asked))["dags"]
    found = {name: task["queue"] for name, task in dags["nightly"]["tasks"].items()}
    assert {"extract", "validates.orders", "builds.daily_sales"} <= {name for name in found if found[name] == "large"}
    assert [name for name in found if found[name] == "spark"] == ["builds.inventory_daily"]
    assert (found["begin"], found["accept"], found["validates.products"]) == ("quick", "default", "default")
    features = {name: task["queue"] for name, task in dags["features"]["tasks"].items()}
    assert {queue for name, queue in features.items() if name.startswith("builds.")} == {"large"}
    assert (features["begin"], features["audit"]) == ("quick", "default")


def test_a_queue_of_what_there_is_not_is_told() -> None:
    told = parsed(queues='{"extracts": "large"}')["import_errors"]
    assert [name for name, error in told.items() if "there is no step, source or table 'extracts'" in error]


def test_a_past_night_is_put_back_when_somebody_says_which_and_starts_nothing(bag: dict[str, Any]) -> None:
    dag = bag["dags"]["republish"]
    assert edges(dag) == {"begin": ["publish"], "publish": ["report"]}
    assert [name for name, task in dag["tasks"].items() if task["is_teardown"]] == ["report"]
    assert "NullTimetable" in dag["schedule"]
    assert [task["outlets"] for task in dag["tasks"].values()] == [[], [], []]
    assert tuple(dag["params"]) == REPUBLISH_FORM
    assert {name: param["schema"]["type"] for name, param in dag["params"].items()} == {
        "night": "string",
        "publication": ["null", "integer"],
    }
    assert dag["max_active_runs"] == 1


def test_slices_are_removed_when_somebody_says_of_which_night_and_starts_nothing(bag: dict[str, Any]) -> None:
    dag = bag["dags"]["remove_slices"]
    assert edges(dag) == {"begin": ["publish"], "publish": ["report"]}
    assert [name for name, task in dag["tasks"].items() if task["is_teardown"]] == ["report"]
    assert "NullTimetable" in dag["schedule"]
    assert [task["outlets"] for task in dag["tasks"].values()] == [[], [], []]
    assert tuple(dag["params"]) == REMOVAL_FORM
    assert dag["max_active_runs"] == 1


def test_a_day_is_explained_when_somebody_says_why_and_starts_nothing(bag: dict[str, Any]) -> None:
    dag = bag["dags"]["explain_day"]
    assert list(dag["tasks"]) == ["explain"]
    assert dag["tasks"]["explain"]["outlets"] == []
    assert "NullTimetable" in dag["schedule"]
    assert tuple(dag["params"]) == EXPLANATION_FORM


def test_a_replay_is_a_night_without_a_shop_and_starts_the_features(
    bag: dict[str, Any], nightly: Mapping[str, Any]
) -> None:
    """What reads the shop is left out; between judging and the tolerance it is seen whether anything is released."""
    dag = bag["dags"]["replay"]
    expected = edges(nightly)
    gate = expected.pop("extract")
    expected |= {"begin": gate, "sift": ["check_tolerance"], **{name: ["sift"] for name in gate}}
    assert edges(dag) == expected
    assert dag["tasks"]["sift"]["operator"] == "_ShortCircuitDecoratedOperator"
    assert {name: task["outlets"] for name, task in dag["tasks"].items() if task["outlets"]} == {"publish": REPORTING}
    assert [name for name, task in dag["tasks"].items() if task["is_teardown"]] == ["report"]
    assert "NullTimetable" in dag["schedule"]
    assert tuple(dag["params"]) == REPLAY_FORM
    assert dag["params"]["dry_run"]["default"] is False
    assert (dag["max_active_runs"], dag["is_paused_upon_creation"]) == (1, False)


def test_a_night_is_the_day_before_at_four_in_the_shops_zone(nightly: Mapping[str, Any]) -> None:
    for part in ("CronPartitionTimetable", "'0 4 * * *'", "timezone='UTC'", "run_offset=-1", "key_format='%Y-%m-%d'"):
        assert part in nightly["schedule"]
    assert (nightly["max_active_runs"], nightly["catchup"]) == (1, False)


WALK = """
import sys
from datetime import date, timedelta
import pendulum
from airflow.timetables.base import TimeRestriction
from airflow.timetables.trigger import CronPartitionTimetable
cron, *zones = sys.argv[1:]
for zone in zones:
    timetable = CronPartitionTimetable(cron, timezone=zone, run_offset=-1, key_format="%Y-%m-%d")
    since, last, days = TimeRestriction(pendulum.datetime(2026, 1, 1, tz=zone), None, True), None, []
    for _ in range(400):
        last = timetable.next_dagrun_info_v2(last_dagrun_info=last, restriction=since)
        days.append(date.fromisoformat(last.partition_key))
    if days != [days[0] + timedelta(days=number) for number in range(400)]:
        sys.exit(f"{zone}: a day without a night, or with two")
"""


@pytest.mark.parametrize(("cron", "said"), [(None, ""), ("0 2 * * *", "a day without a night, or with two")])
def test_every_day_of_a_year_has_one_night(
    nightly: Mapping[str, Any], tmp_path: Path, cron: str | None, said: str
) -> None:
    scheduled = re.search(r"'(\S+ \S+ \S+ \S+ \S+)'", nightly["schedule"])
    assert scheduled
    zones = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut", "America/Santiago"]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WALK, cron or scheduled[1], *zones],
        env=environment(str(tmp_path)), check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode == 0, said in done.stderr) == (not said, True), done.stderr


def test_the_form_asks_what_a_night_may_be_asked(nightly: Mapping[str, Any]) -> None:
    assert set(nightly["params"]) == set(FORM)
    assert nightly["params"]["engine"]["schema"]["enum"] == ["auto", *ENGINES]
    assert {name: param["default"] for name, param in nightly["params"].items()} == {
        "date": None,
        "engine": "auto",
        "parity": None,
        "full_refresh": False,
        "dry_run": False,
    }
    assert all(param["description"] for param in nightly["params"].values())


def test_the_form_of_the_features_asks_for_a_day_and_an_engine(features: Mapping[str, Any]) -> None:
    assert tuple(features["params"]) == FEATURES_FORM
    assert features["params"]["engine"]["schema"]["enum"] == ["auto", *ENGINES]
    assert {name: param["default"] for name, param in features["params"].items()} == {
        "date": None,
        "engine": "auto",
        "parity": None,
    }


@pytest.mark.parametrize("place", range(len(REFUSED)), ids=[str(form) for form, _ in REFUSED])
def test_a_wrong_value_is_refused_and_the_parameter_named(nightly: Mapping[str, Any], place: int) -> None:
    answer = nightly["answers"][place]
    assert answer is not None
    assert REFUSED[place][1] in answer


def test_a_right_value_is_taken(nightly: Mapping[str, Any]) -> None:
    assert nightly["answers"][len(REFUSED) :] == [None] * len(ACCEPTED)


def loaded_by(*files: Path) -> set[str]:
    """The heavy modules that a fresh interpreter loads when it imports DAG files as Airflow does, by file."""
    program = """
import runpy, sys
for file in sys.argv[2:]:
    before = {*sys.modules}
    runpy.run_path(file)
    for module in sys.argv[1].split():
        if module in sys.modules and module not in before:
            print(file.rpartition("/")[2], module)
"""
    with TemporaryDirectory() as home:
        done = subprocess.run(
            [sys.executable, "-c", program, " ".join(HEAVY), *map(str, files)],
            env=environment(home), cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
    return set(done.stdout.splitlines())


def test_reading_dags_loads_nothing_heavy() -> None:
    assert loaded_by(*(ROOT / "dags" / f"{name}.py" for name in sorted(DAGS))) == set()


def test_a_heavy_import_would_be_found(tmp_path: Path) -> None:
    file = tmp_path / "heavy.py"
    file.write_text("import include.lake.tables")
    assert "heavy.py pyarrow" in loaded_by(file)
