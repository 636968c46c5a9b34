"""The form of the DAG ``training_set``: what a person filled in, checked and turned into a training set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from include.lake import storage
from include.ledger.runs import slug
from include.training.entities import Entities, EveryEntity, Query
from include.training.errors import UnknownPublication, WrongTrainingSet
from include.training.sets import write_training_set
from include.training.slices import newest_publication
from include.training.wanted import wanted

FORM = (
    "name",
    "entities_parquet",
    "entities_sql",
    "entities_of",
    "dates",
    "timestamp",
    "features",
    "labels",
    "ttl_days",
    "known_only",
    "publication",
)
_SOURCES = ("entities_parquet", "entities_sql", "entities_of")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")  # a file system has 255 bytes for a name


def check(conf: Mapping[str, Any], form: Mapping[str, Any]) -> int:
    """Refuse at once what could not be made.

    Args:
        conf: what was sent, to find what no form asks for.
        form: the same with the defaults.

    Returns:
        The publication that the training set will be made from: asked for again, it gives the same bytes.

    Raises:
        WrongTrainingSet: saying what would be right.
    """
    if unknown := sorted(set(conf) - set(FORM)):
        raise WrongTrainingSet(f"unknown parameter {', '.join(unknown)}; there are {', '.join(FORM)}")
    wanted(form["features"], form["labels"])
    _entities(form)
    if form["name"] is not None and not _NAME.fullmatch(form["name"]):
        raise WrongTrainingSet(f"{form['name']!r} is no name: at most 100 letters, digits, - and _")
    newest = newest_publication()
    asked = newest if form["publication"] is None else int(form["publication"])
    if not 0 < asked <= newest:
        raise UnknownPublication(f"there is no publication {asked} of features; the newest is {newest}")
    return asked


def make(run_id: str, form: Mapping[str, Any], publication: int) -> str:
    """Write the training set that a form asks for.

    Args:
        run_id: as Airflow knows it; it names what has no name of its own.
        form: what ``check`` let through.
        publication: what ``check`` said.

    Returns:
        The path of the JSON beside the Parquet file: what it was made from.
    """
    name = form["name"] or slug(run_id)
    return write_training_set(
        storage.in_lake("training_sets", f"{name}.parquet"),
        _entities(form),
        form["features"],
        form["labels"],
        ttl=None if form["ttl_days"] is None else timedelta(days=form["ttl_days"]),
        publication=publication,
        known_only=form["known_only"],
        timestamp=form["timestamp"],
    )


def _entities(form: Mapping[str, Any]) -> Entities:
    given = [name for name in _SOURCES if form[name]]
    if len(given) != 1:
        raise WrongTrainingSet(f"say where the entities are in one of {', '.join(_SOURCES)}; {len(given)} are given")
    if bool(form["dates"]) != (given == ["entities_of"]):
        raise WrongTrainingSet("dates go with entities_of, and entities_of with dates")
    if form["entities_sql"]:
        return Query(form["entities_sql"])
    if form["entities_parquet"]:
        return str(form["entities_parquet"])
    try:
        days = tuple(date.fromisoformat(text) for text in form["dates"])
    except ValueError as error:
        raise WrongTrainingSet(f"dates are written 2026-11-21: {error}") from error
    wanted([form["entities_of"]], [])
    return EveryEntity(form["entities_of"], days)
