"""The steps of the DAG ``republish``: a past night is put back, from the versions of the lake that it had published.

Belongs here: which publication of which night is meant, and whether the lake still has it. Does not: the transaction,
which is ``publish``'s. The reporting tables alone go back: a feature set's slice says what was known on its day, which
nothing later changes. Watermarks and quarantine stay: the next night goes on from what it knows, and brings every table
forward again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from deltalake.exceptions import DeltaError

from include.contract import Table
from include.lake import tables as lake
from include.lake.integrity import Damaged
from include.lake.rows import lacking
from include.ledger import copies, publications, runs
from include.ledger.migrations import prepare
from include.ledger.publications import PastNight
from include.ledger.runs import Kind, Run
from include.pipeline.declarations import typed
from include.pipeline.one_shop import other_decimals
from include.pipeline.run_request import WrongRequest, refuse_unknown
from include.pipeline.stages import stage
from include.pipeline.troubles import told_apart
from include.publish.publication import publish_past
from include.publish.table_version import TableVersion

FORM = ("night", "publication")  # what a person may ask of a run


class NightGone(RuntimeError):
    """A past night cannot be put back as it was; the message names the tables and says why. Nothing was changed."""


@told_apart()
def begin(run_id: str, conf: Mapping[str, Any]) -> Run:
    """Enter a run: which night is put back, and from which of its publications.

    Args:
        run_id: as Airflow knows it.
        conf: the form: ``night``, and ``publication`` where it is not to be that night's newest.

    Raises:
        WrongRequest: when the form holds something unknown, or the night was never published, or not so, or the
            lake counts amounts with other decimals than the shop's folder says.
    """
    refuse_unknown(conf, FORM)
    prepare()
    past = _asked_for(conf)
    if other := other_decimals():
        raise WrongRequest(other)
    run = Run(
        run_id, past.night, horizon=past.horizon, dag="republish", kind=Kind.REPUBLISH,
        built_from=past.publication_id,
    )  # fmt: skip
    runs.open_run(run)
    copies.take_copy(run)
    return run


def publish(run_id: str, tables: Iterable[Table]) -> str:
    """Put the night's reporting tables back in one transaction.

    Args:
        run_id: the run.
        tables: the reporting tables there are now. One that is younger than the night stays as it is.

    Returns:
        A sentence that says what is live now.

    Raises:
        NightGone: when the lake no longer has all of it.
    """
    run = runs.find_run(run_id)
    past = next(one for one in publications.past_nights(run.night) if one.publication_id == run.built_from)
    with stage(run_id, "publish"):
        known = {table.name: table for table in typed(tables)}
        built = [TableVersion(known[name], version) for name, version in sorted(past.versions.items()) if name in known]
        _refuse_gone(run, built)
        publication = publish_past(run, past.snapshot_at, built)
    younger, gone = (
        ", ".join(sorted(set(known) - set(past.versions))),
        ", ".join(sorted(set(past.versions) - set(known))),
    )
    return (
        f"publication {publication} puts the night of {past.night} back as publication {past.publication_id} left it"
        f" at {past.published_at:%Y-%m-%d %H:%M:%S %Z}: whole days up to {past.horizon}"
        + (f"; {younger} did not exist then and stay as they are" if younger else "")
        + (f"; {gone} are no tables any more" if gone else "")
    )


def _asked_for(conf: Mapping[str, Any]) -> PastNight:
    """The publication that a form asks for.

    Raises:
        WrongRequest: saying which nights and publications there are.
    """
    try:
        night = date.fromisoformat(conf.get("night") or "")
    except ValueError as error:
        raise WrongRequest(f"there is no night {conf.get('night')!r}; one is written 2026-11-20") from error
    found = publications.past_nights(night)
    if not found:
        raise WrongRequest(f"the night of {night} was never published; published were {_listed()}")
    wanted = conf.get("publication")
    for one in found:
        if wanted in (None, one.publication_id):
            return one
    those = ", ".join(str(one.publication_id) for one in reversed(found))
    raise WrongRequest(f"publication {wanted} is none of the night of {night}; its publications are {those}")


def _listed() -> str:
    """The nights that were published, as few words."""
    nights = publications.published_nights()
    if not nights:
        return "none"
    return str(nights[0]) if len(nights) == 1 else f"{len(nights)} nights, {nights[0]} to {nights[-1]}"


def _refuse_gone(run: Run, built: Iterable[TableVersion]) -> None:
    """Refuse before anything is changed.

    Raises:
        NightGone: naming every table that is not in the lake as it was published then.
    """
    reasons = []
    for one in built:
        name, key = one.table.qualified_name, [one.table[column] for column in one.table.primary_key]
        versions = {one.version}
        if one.table.rebuild.kind == "as_of":
            slices = publications.slices_to_publish(run, one.table, one.version)
            versions |= {version for version in slices.values() if version is not None}
        for version in sorted(versions):
            try:
                held = lake.stored(one.table.schema, one.table.name, version)
            except (DeltaError, Damaged):
                reasons.append(f"{name}: version {version} is not in the lake any more")
                continue
            if missing := sorted(lacking(held, key)):
                reasons.append(f"{name}: version {version} is of another grain: it has no {', '.join(missing)}")
    if reasons:
        listed = " | ".join(reasons)
        raise NightGone(f"the night of {run.night} cannot be put back as it was; nothing is changed. {listed}")
