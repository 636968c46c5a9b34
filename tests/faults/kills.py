"""The named points at which a process of a night is killed."""

from __future__ import annotations

from typing import Final

from include.sources import SOURCES
from tests.faults.fault import Fault, killed
from tests.faults.processes import Point
from tests.faults.steps import NAMES
from transforms.catalogue import TABLES

_RUNS, _COPIES, _BUILDS = "include.ledger.runs", "include.ledger.copies", "include.ledger.builds"
_JUDGED, _DIFFERENCE, _LAKE = "include.ledger.expectations", "include.difference.commit", "include.lake"
_PUBLISH = "include.publish.publication"

# Step, what happens there, and the point.
_POINTS: Final = (
    ("begin", "ledger-prepared", "the ledger's tables are there, the run is not entered", Point(f"{_RUNS}.open_run")),
    ("begin", "run-entered", "the run is entered, the tables are not", Point(f"{_RUNS}.open_run", after=True)),
    ("begin", "done", "all is entered, nobody heard", Point(f"{_RUNS}.record_tables", after=True)),
    ("extract", "before-reading", "nothing is read", Point("include.extract.extract")),
    ("extract", "first-source", "one source is written", Point(f"{_LAKE}.replace_run", after=True)),
    ("extract", "file-of-raw", "a file of raw orders lies there, not committed", Point(file="raw/orders/**/*.parquet")),
    ("extract", "five-sources", "five sources are written", Point(f"{_LAKE}.replace_run", call=5, after=True)),
    ("extract", "late-rows", "rows that the proof found are written", Point(f"{_LAKE}.append_run", after=True)),
    (
        "extract", "deleted-keys", "keys that are gone are noted, the copy is not compared again",
        Point(f"{_LAKE}.replace_run", after=True, of=("gone",)),
    ),
    ("extract", "proven", "the third source is proven, its sums are not kept",
     Point("include.completeness.ShopSums.keep", call=3)),
    ("extract", "not-recorded", "all is read, the ledger does not know", Point(f"{_COPIES}.record_extracted")),
    ("extract", "recorded", "the ledger knows, nobody heard", Point(f"{_COPIES}.record_extracted", after=True)),
    ("validate orders", "file-of-judged", "the judged rows are being written", Point(file="gate/*/orders.partial")),
    (
        "validate orders", "judged", "the rows are written, Great Expectations has not judged",
        Point("include.validate.judgement.write_candidates", after=True),
    ),
    ("validate orders", "not-recorded", "judged, the ledger does not know", Point(f"{_JUDGED}.record_outcomes")),
    ("validate orders", "recorded", "the ledger knows", Point(f"{_JUDGED}.record_outcomes", after=True)),
    ("weigh", "weighed", "weighed, nobody heard", Point("include.validate.tolerance.weigh", after=True)),
    ("accept", "before", "the turn is taken, nothing is noted", Point(f"{_COPIES}.begin_accepting")),
    ("accept", "noted", "it is noted that the lake is being changed", Point(f"{_COPIES}.begin_accepting", after=True)),
    ("accept", "changes-written", "what changes in orders is written beside, not committed",
     Point(f"{_LAKE}.merge", of=("clean", "orders"))),
    ("accept", "file-of-clean", "a file of accepted orders lies there, not committed",
     Point(file="clean/orders/*.parquet")),
    ("accept", "between-layers", "accepted orders are committed, held ones are not",
     Point(f"{_LAKE}.replace", of=("quarantine", "orders"))),
    ("accept", "one-source", "orders are committed, other sources are not",
     Point(f"{_LAKE}.replace", after=True, of=("quarantine", "orders"))),
    ("accept", "file-of-quarantine", "a file of held orders lies there, not committed",
     Point(file="quarantine/orders/*.parquet")),
    ("accept", "before-proof", "every layer is written, nothing is proven", Point("include.validate.acceptance.prove")),
    ("accept", "not-recorded", "proven, the ledger does not know", Point(f"{_COPIES}.record_accepted")),
    ("accept", "recorded", "the ledger knows, nobody heard", Point(f"{_COPIES}.record_accepted", after=True)),
    ("build order_lines", "cut", "its inputs are cut, nothing is built", Point("include.rebuild.cut", after=True)),
    ("build order_lines", "built", "built, not committed", Point(_DIFFERENCE)),
    ("build order_lines", "changes-written", "what changes is written beside, not committed",
     Point(f"{_LAKE}.merge", of=("reporting", "order_lines"))),
    ("build order_lines", "file", "a file of the table lies there, not committed",
     Point(file="reporting/order_lines/*.parquet")),
    ("build customers", "committed", "committed, its digest is not made", Point(_DIFFERENCE, after=True)),
    ("build inventory_health", "slice-built", "the slice is built, not committed", Point(f"{_LAKE}.replace_slice")),
    ("audit", "half-judged", "two tables are judged", Point(f"{_JUDGED}.record_outcomes", call=2, after=True)),
    ("audit", "judged", "every table is judged, nothing is proven", Point("include.night.prove")),
    ("audit", "not-recorded", "proven, the ledger does not know", Point("include.ledger.conservation.record")),
    ("audit", "recorded", "the ledger knows", Point("include.ledger.conservation.record", after=True)),
    ("publish", "before", "the turn is taken, nothing is staged", Point("include.publish.staging.stage")),
    ("publish", "half-staged", "three tables are loaded into staging",
     Point("include.publish.staging._load", call=3, after=True)),
    ("publish", "staged", "everything is staged", Point("include.publish.staging.stage", after=True)),
    ("publish", "half-replaced", "in the transaction, three tables are replaced",
     Point(f"{_PUBLISH}.replace_what_differs", call=3, after=True)),
    ("publish", "proven", "in the transaction, all is replaced and proven",
     Point(f"{_PUBLISH}.prove_published", after=True)),
    ("publish", "before-commit", "in the transaction, the watermarks have moved",
     Point(f"{_PUBLISH}._move_watermarks", after=True)),
    ("publish", "committed", "committed, the staging tables are still there",
     Point("include.publish.staging.drop", call=2)),
    ("publish", "done", "all is done, nobody heard", Point("include.night.publish_tables", after=True)),
    ("report", "before", "the page is not written", Point("include.reports_api.page.write")),
    ("report", "written", "the page is written, nobody heard", Point("include.reports_api.page.write", after=True)),
)  # fmt: skip
_OF_FEATURES: Final = (
    ("begin", "run-entered", "the run is entered, not which copy it is built from",
     Point(f"{_RUNS}.open_run", after=True)),
    ("begin", "done", "all is entered, nobody heard", Point(f"{_COPIES}.take_copy", after=True)),
    ("build customer_activity", "slice-built", "the slice is built, not committed", Point(f"{_LAKE}.replace_slice")),
    ("build customer_activity", "file", "a file of the slice lies there, not committed",
     Point(file="features/customer_activity/*.parquet")),
    ("audit", "judged", "judged, the ledger does not know", Point(f"{_JUDGED}.record_outcomes")),
    ("publish", "half-staged", "a table is loaded into staging", Point("include.publish.staging._load", after=True)),
    ("publish", "half-replaced", "in the transaction, a table is replaced",
     Point(f"{_PUBLISH}.replace_what_differs", after=True)),
    ("publish", "committed", "committed, the staging tables are still there",
     Point("include.publish.staging.drop", call=2)),
    ("publish", "done", "all is done, nobody heard", Point("include.features.publish_features", after=True)),
    ("report", "written", "the page is written, nobody heard", Point("include.reports_api.page.write", after=True)),
)  # fmt: skip

_OFTEN: Final = ("order_lines", "daily_sales", "inventory_health", "customer_activity")  # one of every kind of table


def kills(*, every: bool) -> list[Fault]:
    """Every fault of this kind.

    Args:
        every: whether what is the same for all sources and tables is tried with each of them.
    """
    found = [_at("nightly", *one) for one in _POINTS] + [_at("features", *one) for one in _OF_FEATURES]
    for name in NAMES if not every else TABLES:
        if every or name in _OFTEN:
            dag = "features" if TABLES[name].table.schema == "features" else "nightly"
            ledger = Point(f"{_BUILDS}.record")
            found += [
                _at(dag, f"build {name}", "not-recorded", "committed, the ledger does not know", ledger),
                _at(dag, f"build {name}", "recorded", "the ledger knows", Point(ledger.function, after=True)),
            ]
    for name in SOURCES if every else ():
        if name != "orders":
            point = Point(f"{_JUDGED}.record_outcomes")
            found.append(_at("nightly", f"validate {name}", "not-recorded", "judged, not recorded", point))
    return found


def _at(dag: str, step: str, what: str, where: str, point: Point) -> Fault:
    task = step if dag == "nightly" else f"features {step}"
    return killed(f"{task.replace(' ', '-')}.{what}", f"{task}: {where}", step, point, dag)
