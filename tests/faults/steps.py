"""The steps of every DAG's runs, each of which a process does on its own, as Airflow's tasks are done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any, Final, cast
from uuid import uuid4

from include.contract import Source, Table
from include.gate import tolerance
from include.lake import tables as lake
from include.ledger import runs
from include.ledger.runs import Run
from include.pipeline import housekeeping, nightly, replay, republish, table_build, tables_dag
from include.pipeline.housekeeping import Limits
from include.sources import SOURCES
from tests.nights import SOME
from transforms.build import build
from transforms.registry import TABLES, buildable

# Beside one of every kind (``tests.nights``) the one reporting table by night of which these are the inputs.
NAMES: Final = (*SOME, "inventory_health")

# Per kind of run the tasks of its DAG, in an order that the DAG allows; ``finish`` is what the listener writes at its
# end. ``validate`` is one task per source, ``build`` one per table.
STEPS: Final = {
    "nightly": "begin extract validate check_tolerance accept build audit publish report finish",
    "features": "begin build audit publish report finish",
    # Of a night, from where an operator is asked.
    "approval": "check_tolerance approve accept build audit publish report finish",
    "replay": "begin validate sift check_tolerance accept build audit publish report finish",
    "vain replay": "begin validate sift report finish",  # what is skipped where nothing is released is not there
    "republish": "begin publish report finish",
}
_RELEASED_BY: Final = "cancelled_has_reason"  # the rule that a replay finds loosened: it holds a row of the last night


@dataclass(frozen=True)
class Asked:
    """What a run is asked for.

    Attributes:
        run_id: its id.
        day: its business day; the night that is put back.
        dag: one of ``STEPS``.
        names: the tables that are built.
        options: ``full_refresh`` and the like, as in the form.
    """

    run_id: str
    day: date
    dag: str = "nightly"
    names: tuple[str, ...] = NAMES
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def steps(self) -> list[str]:
        """Its steps, in order."""
        each = {"validate": list(SOURCES), "build": [table.name for table in self.tables]}
        return [f"{step} {name}".rstrip() for step in STEPS[self.dag].split() for name in each.get(step, [""])]

    @property
    def tables(self) -> list[Table]:
        """What it builds."""
        schema = "features" if self.dag == "features" else "reporting"
        return [TABLES[name].table for name in buildable(SOURCES).of(schema) if name in self.names]


def do(asked: Asked, step: str) -> None:
    """Do one step of a run."""
    kind, _, name = step.partition(" ")
    _find_contracts(asked)
    _DO[kind](asked, name)


def _find_contracts(asked: Asked) -> None:
    """Have the contracts say what such a run finds in them."""
    orders, contracts = SOURCES["orders"], cast("dict[str, Source]", SOURCES)
    if asked.dag == "approval":
        setattr(tolerance, "TOLERATED_ROWS", 0)  # noqa: B010 - no row is tolerated
        contracts["orders"] = replace(orders, tolerance=0.0)
    elif asked.dag == "replay":
        contracts["orders"] = replace(orders, rules=tuple(one for one in orders.rules if one.name != _RELEASED_BY))


def _begin(asked: Asked, _: str) -> None:
    left_out = buildable(SOURCES).left_out
    tables = [(one.table, one.sources, left_out.get(name)) for name, one in TABLES.items()]
    if asked.dag == "features":
        tables_dag.begin(asked.run_id, asked.day.isoformat(), asked.options, dag="features", tables=asked.tables)
    elif asked.dag == "republish":
        republish.begin(asked.run_id, {"night": asked.day.isoformat()})
    elif asked.dag == "nightly":
        nightly.begin(Run(asked.run_id, asked.day, asked.day, **asked.options), tables)
    else:
        replay.begin(asked.run_id, asked.options, tables)


def _sift(asked: Asked, _: str) -> None:
    _must_say(replay.sift(asked.run_id), asked.dag == "replay", "there is something to release")


def _check_tolerance(asked: Asked, _: str) -> None:
    _must_say(nightly.check_tolerance(asked.run_id), asked.dag == "approval", "somebody has to be asked")


def _must_say(found: bool, expected: bool, what: str) -> None:
    """Refuse another way through the DAG than the run was meant to take."""
    if found != expected:
        raise RuntimeError(f"that {what} is {found}")


def _approve(asked: Asked, _: str) -> None:
    """Put the question and hear an approval, as Airflow's operator does; what Airflow itself enters is left out."""
    from airflow.providers.standard.operators import hitl
    from airflow.sdk.exceptions import TaskAwaitingInput

    from include.pipeline.approval import Approval

    setattr(hitl, "upsert_hitl_detail", lambda **_: None)  # noqa: B010 - there is no Airflow that could be told
    task = Approval(task_id="approve", run_id=asked.run_id)
    try:
        task.execute({"task_instance": SimpleNamespace(id=uuid4())})
    except TaskAwaitingInput:
        said = {"chosen_options": [task.APPROVE], "params_input": {}, "responded_at": datetime.now(UTC)}
        task.execute_complete({}, {**said, "responded_by_user": {"id": "1", "name": "ada"}})


def _build(asked: Asked, name: str) -> None:
    table_build.build(
        asked.run_id, TABLES[name].table, TABLES[name].layers, TABLES[name].sources, build, TABLES[name].code
    )


def _publish(asked: Asked, _: str) -> None:
    {"features": tables_dag, "republish": republish}.get(asked.dag, nightly).publish(asked.run_id, asked.tables)


_DO: Final[dict[str, Callable[[Asked, str], Any]]] = {
    "begin": _begin,
    "extract": lambda asked, _: nightly.extract(asked.run_id),
    "validate": lambda asked, name: nightly.validate(asked.run_id, name),
    "sift": _sift,
    "check_tolerance": _check_tolerance,
    "approve": _approve,
    "accept": lambda asked, _: nightly.accept(asked.run_id),
    "build": _build,
    "audit": lambda asked, _: nightly.audit(asked.run_id, asked.tables),
    "publish": _publish,
    "report": lambda asked, _: nightly.report(asked.run_id),
    "finish": lambda asked, _: runs.finish_run(asked.run_id, "success"),
}


def keep_house(step: str) -> None:
    """Do one step of the DAG ``housekeeping``, as if everything were old that is not needed."""
    reporting = [TABLES[name].table for name in buildable(SOURCES).of("reporting")]
    limits = Limits(datetime.now(UTC), datetime.now(UTC))
    if step == "compact":
        housekeeping.compact(reporting, dry_run=False, most_small=0)
    elif step == "runs":
        housekeeping.forget_runs(limits, dry_run=False)
    elif step == "entries":
        housekeeping.forget_entries(limits, dry_run=False)
    else:
        housekeeping.remove_files(limits, [one.table for one in TABLES.values()], dry_run=False)


def files_of(layer: str, name: str) -> list[str]:
    """The files of a table's latest version."""
    return lake.named_files(layer, name)
