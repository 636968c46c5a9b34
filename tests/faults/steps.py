"""The steps of a night and of its features, each of which a process does on its own, as Airflow's tasks are done."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from include import features, housekeeping, lake, night
from include.contract import Table
from include.housekeeping import Limits
from include.ledger import runs
from include.ledger.runs import Run
from include.sources import SOURCES
from tests.nights import SOME
from transforms.build import build
from transforms.catalogue import TABLES, buildable

# Beside one of every kind (``tests.nights``) the one reporting table by night of which these are the inputs.
NAMES: Final = (*SOME, "inventory_health")


@dataclass(frozen=True)
class Asked:
    """What a run is asked for.

    Attributes:
        run_id: its id.
        day: its business day.
        dag: ``nightly`` or ``features``.
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
        """The tasks of its DAG, in an order that the DAG allows; ``finish`` is what the listener writes at its end."""
        builds = [f"build {table.name}" for table in self.tables]
        if self.dag == "features":
            return ["begin", *builds, "audit", "publish", "report", "finish"]
        validates = [f"validate {name}" for name in SOURCES]
        return ["begin", "extract", *validates, "weigh", "accept", *builds, "audit", "publish", "report", "finish"]

    @property
    def tables(self) -> list[Table]:
        """What it builds."""
        schema = "features" if self.dag == "features" else "reporting"
        return [TABLES[name].table for name in buildable(SOURCES).of(schema) if name in self.names]


def do(asked: Asked, step: str) -> None:
    """Do one step of a run."""
    kind, _, name = step.partition(" ")
    if kind == "begin":
        _begin(asked)
    elif kind == "extract":
        night.extract(asked.run_id)
    elif kind == "validate":
        night.validate(asked.run_id, name)
    elif kind == "weigh":
        night.weigh(asked.run_id)
    elif kind == "accept":
        night.accept(asked.run_id)
    elif kind == "build":
        night.build(asked.run_id, TABLES[name].table, TABLES[name].layers, TABLES[name].sources, build)
    else:
        _end(asked, kind)


def _begin(asked: Asked) -> None:
    if asked.dag == "features":
        features.begin(asked.run_id, asked.day.isoformat(), asked.options)
        return
    left_out = buildable(SOURCES).left_out
    night.begin(
        Run(asked.run_id, asked.day, asked.day, **asked.options),
        [(one.table, one.sources, left_out.get(name)) for name, one in TABLES.items()],
    )


def _end(asked: Asked, kind: str) -> None:
    if kind == "audit":
        night.audit(asked.run_id, asked.tables)
    elif kind == "publish":
        (features if asked.dag == "features" else night).publish(asked.run_id, asked.tables)
    elif kind == "report":
        night.report(asked.run_id)
    elif kind == "finish":
        runs.finish_run(asked.run_id, "success")
    else:
        raise ValueError(f"there is no step {kind!r}")


def keep_house(step: str) -> None:
    """Do one step of the DAG ``housekeeping``, as if everything were old that is not needed."""
    from datetime import UTC, datetime

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
