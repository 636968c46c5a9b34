"""The named points at which a process of a run is killed."""

from __future__ import annotations

from typing import Final

from include.sources import SOURCES
from tests.faults.fault import Fault, killed
from tests.faults.processes import Point
from tests.faults.steps import NAMES
from transforms.registry import TABLES

_RUNS, _COPIES, _BUILDS = "include.ledger.runs", "include.ledger.copies", "include.ledger.builds"
_JUDGED, _DIFFERENCE, _LAKE = "include.ledger.expectations", "include.lake.merge.commit", "include.lake.writes"
_NIGHTLY, _REPLAY = "include.pipeline.nightly", "include.pipeline.replay"
_PUBLISH = "include.publish.publication"

# Step, what happens there, and the point.
_OF_NIGHT: Final = (
    ("begin", "ledger-prepared", "the ledger's tables are there, the run is not entered", Point(f"{_RUNS}.open_run")),
    ("begin", "run-entered", "the run is entered, the tables are not", Point(f"{_RUNS}.open_run", after=True)),
    ("begin", "done", "all is entered, nobody heard", Point(f"{_RUNS}.record_tables", after=True)),
    ("extract", "before-reading", "nothing is read", Point("include.extract.snapshot.extract")),
    ("extract", "first-source", "one source is written", Point(f"{_LAKE}.replace_run", after=True)),
    ("extract", "file-of-raw", "a file of raw orders lies there, not committed", Point(file="raw/orders/**/*.parquet")),
    ("extract", "five-sources", "five sources are written", Point(f"{_LAKE}.replace_run", call=5, after=True)),
    ("extract", "late-rows", "rows that the proof found are written", Point(f"{_LAKE}.append_run", after=True)),
    (
        "extract", "deleted-keys", "keys that are gone are noted, the copy is not compared again",
        Point(f"{_LAKE}.replace_run", after=True, of=("gone",)),
    ),
    (
        "extract", "sums-remembered", "the shop's sums of two sources are remembered beside the lake, none is proven",
        Point("include.extract.snapshot.whole_shop_sums", call=2, after=True),
    ),
    ("extract", "proven", "the third source is proven, its sums are not kept",
     Point("include.extract.completeness.ShopSums.keep", call=3)),
    ("extract", "not-recorded", "all is read, the ledger does not know", Point(f"{_COPIES}.record_extracted")),
    ("extract", "recorded", "the ledger knows, not the gate", Point(f"{_COPIES}.record_extracted", after=True)),
    ("extract", "half-touched", "which rows are judged is kept of three sources",
     Point("include.gate.handoff.touched_file", call=4)),
    ("extract", "touched", "the gate knows too, nobody heard", Point(f"{_NIGHTLY}.keep_touched", after=True)),
    ("validate orders", "file-of-judged", "the judged rows are being written",
     Point(file="gate/*/orders.parquet.*.part")),
    (
        "validate orders", "judged", "the rows are written, Great Expectations has not judged",
        Point("include.gate.checks.write_candidates", after=True),
    ),
    ("validate orders", "not-recorded", "judged, the ledger does not know", Point(f"{_JUDGED}.record_outcomes")),
    ("validate orders", "recorded", "the ledger knows", Point(f"{_JUDGED}.record_outcomes", after=True)),
    ("check_tolerance", "compared", "compared, nobody heard", Point("include.gate.tolerance.find_excess", after=True)),
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
    ("accept", "before-proof", "every layer is written, nothing is proven",
     Point("include.extract.completeness.prove")),
    ("accept", "rows-proven", "the accepted rows are proven, which versions begin and end is not written",
     Point("include.gate.versions.keep")),
    ("accept", "two-histories", "the versions of two sources are committed, those of the third are not",
     Point("include.gate.versions._commit", call=2, after=True)),
    ("accept", "not-recorded", "proven, the ledger does not know", Point(f"{_COPIES}.record_accepted")),
    ("accept", "recorded", "the ledger knows, nobody heard", Point(f"{_COPIES}.record_accepted", after=True)),
    ("build order_lines", "cut", "its inputs are cut, nothing is built",
     Point("include.build.incremental.write_needed_rows", after=True)),
    ("build order_lines", "built", "built, not committed", Point(_DIFFERENCE)),
    ("build order_lines", "changes-written", "what changes is written beside, not committed",
     Point(f"{_LAKE}.merge", of=("reporting", "order_lines"))),
    ("build order_lines", "file", "a file of the table lies there, not committed",
     Point(file="reporting/order_lines/*.parquet")),
    ("build customers", "committed", "committed, its digest is not made", Point(_DIFFERENCE, after=True)),
    ("build inventory_health", "slice-built", "the slice is built, not committed", Point(f"{_LAKE}.replace_slice")),
    ("audit", "half-judged", "two tables are judged", Point(f"{_JUDGED}.record_outcomes", call=2, after=True)),
    ("audit", "judged", "every table is judged, nothing is proven", Point(f"{_NIGHTLY}.prove")),
    ("audit", "not-recorded", "proven, the ledger does not know", Point("include.ledger.reconciliation.record")),
    ("audit", "recorded", "the ledger knows", Point("include.ledger.reconciliation.record", after=True)),
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
    ("publish", "done", "all is done, nobody heard", Point(f"{_NIGHTLY}.publish_night", after=True)),
    ("report", "before", "the page is not written", Point("include.serve.page.write")),
    ("report", "written", "the page is written, nobody heard", Point("include.serve.page.write", after=True)),
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
    ("publish", "done", "all is done, nobody heard", Point("include.pipeline.tables_dag.publish_tables", after=True)),
    ("report", "written", "the page is written, nobody heard", Point("include.serve.page.write", after=True)),
)  # fmt: skip

# More rows would be held than is tolerated, and an operator is asked.
_OF_APPROVAL: Final = (
    ("check_tolerance", "asked", "an operator is asked, nobody heard",
     Point("include.ledger.approvals.ask", after=True)),
    ("approve", "answered", "an operator has approved, the ledger does not know",
     Point("include.ledger.approvals.record_answer")),
    ("approve", "entered", "the ledger knows of the approval, nobody heard",
     Point("include.ledger.approvals.record_answer", after=True)),
    ("accept", "one-source", "what is approved is held, other sources are as they were",
     Point(f"{_LAKE}.replace", after=True, of=("quarantine", "orders"))),
    ("accept", "recorded", "accepted by the approval, the ledger knows, nobody heard",
     Point(f"{_COPIES}.record_accepted", after=True)),
)  # fmt: skip
_OF_REPLAY: Final = (
    ("begin", "run-entered", "the run is entered, the tables and the copy are not",
     Point(f"{_RUNS}.open_run", after=True)),
    ("begin", "copy-taken", "the copy is taken, its sums are not kept", Point(f"{_COPIES}.take_copy", after=True)),
    ("begin", "half-kept", "the sums of three sources are kept", Point(f"{_REPLAY}.keep_copy", call=3, after=True)),
    ("begin", "done", "all is entered, nobody heard", Point(f"{_REPLAY}.begin", after=True)),
    ("validate orders", "judged", "the rows are written, Great Expectations has not judged",
     Point("include.gate.checks.write_candidates", after=True)),
    ("validate orders", "not-recorded", "judged, the ledger does not know", Point(f"{_JUDGED}.record_outcomes")),
    ("sift", "sifted", "there is something to release, nobody heard", Point(f"{_REPLAY}.sift", after=True)),
    ("accept", "noted", "it is noted that the lake is being changed", Point(f"{_COPIES}.begin_accepting", after=True)),
    ("accept", "between-layers", "released orders are committed, held ones are not",
     Point(f"{_LAKE}.replace", of=("quarantine", "orders"))),
    ("accept", "not-recorded", "proven, the ledger does not know", Point(f"{_COPIES}.record_accepted")),
    ("accept", "recorded", "the ledger knows, nobody heard", Point(f"{_COPIES}.record_accepted", after=True)),
    ("build order_lines", "changes-written", "what changes is written beside, not committed",
     Point(f"{_LAKE}.merge", of=("reporting", "order_lines"))),
    ("build daily_sales", "not-recorded", "committed, the ledger does not know", Point(f"{_BUILDS}.record")),
    ("build inventory_health", "slice-built", "the slice is built, not committed", Point(f"{_LAKE}.replace_slice")),
    ("audit", "not-recorded", "proven, the ledger does not know", Point("include.ledger.reconciliation.record")),
    ("publish", "half-staged", "three tables are loaded into staging",
     Point("include.publish.staging._load", call=3, after=True)),
    ("publish", "half-replaced", "in the transaction, three tables are replaced",
     Point(f"{_PUBLISH}.replace_what_differs", call=3, after=True)),
    ("publish", "before-commit", "in the transaction, the quarantine says what is released",
     Point("include.publish.quarantine.sync", after=True)),
    ("publish", "committed", "committed, the staging tables are still there",
     Point("include.publish.staging.drop", call=2)),
    ("report", "written", "the page is written, nobody heard", Point("include.serve.page.write", after=True)),
)  # fmt: skip
# A replay that finds nothing to release enters its verdicts and ends.
_OF_VAIN_REPLAY: Final = (
    ("sift", "sifted", "there is nothing to release, nothing is entered", Point(f"{_REPLAY}.enter_verdicts")),
    ("sift", "half-staged", "what three sources hold is staged",
     Point("include.publish.quarantine.stage", call=3, after=True)),
    ("sift", "before-commit", "in the transaction, the verdicts are entered",
     Point("include.publish.quarantine.sync", after=True)),
    ("sift", "committed", "committed, the staging tables are still there",
     Point("include.publish.staging.drop", call=2)),
    ("sift", "entered", "the verdicts are entered, nobody heard", Point(f"{_REPLAY}.enter_verdicts", after=True)),
    ("report", "written", "the page is written, nobody heard", Point("include.serve.page.write", after=True)),
)  # fmt: skip
_OF_REPUBLISH: Final = (
    ("begin", "found", "it is known what is put back, the run is not entered", Point(f"{_RUNS}.open_run")),
    ("begin", "run-entered", "the run is entered, not which copy it goes by", Point(f"{_RUNS}.open_run", after=True)),
    ("begin", "done", "all is entered, nobody heard", Point(f"{_COPIES}.take_copy", after=True)),
    ("publish", "before", "the lake has all of it, nothing is staged", Point("include.publish.staging.stage")),
    ("publish", "half-staged", "three tables are loaded into staging",
     Point("include.publish.staging._load", call=3, after=True)),
    ("publish", "staged", "everything is staged", Point("include.publish.staging.stage", after=True)),
    ("publish", "half-replaced", "in the transaction, three tables are replaced",
     Point(f"{_PUBLISH}.replace_what_differs", call=3, after=True)),
    ("publish", "before-commit", "in the transaction, what was restated is entered",
     Point("include.publish.restatements.record", after=True)),
    ("publish", "committed", "committed, the staging tables are still there",
     Point("include.publish.staging.drop", call=2)),
    ("publish", "done", "all is done, nobody heard", Point("include.pipeline.republish.publish_past", after=True)),
    ("report", "before", "the page is not written", Point("include.serve.page.write")),
    ("report", "written", "the page is written, nobody heard", Point("include.serve.page.write", after=True)),
)  # fmt: skip
_OF: Final = {
    "nightly": _OF_NIGHT,
    "features": _OF_FEATURES,
    "approval": _OF_APPROVAL,
    "replay": _OF_REPLAY,
    "vain replay": _OF_VAIN_REPLAY,
    "republish": _OF_REPUBLISH,
}

_OFTEN: Final = ("order_lines", "daily_sales", "inventory_health", "customer_activity")  # one of every kind of table


def kills(*, every: bool) -> list[Fault]:
    """Every fault of this kind.

    Args:
        every: whether what is the same for all sources and tables is tried with each of them.
    """
    found = [_at(dag, *one) for dag, points in _OF.items() for one in points]
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
    task = step if dag == "nightly" else f"{dag} {step}"
    return killed(f"{task.replace(' ', '-')}.{what}", f"{task}: {where}", step, point, dag)
