"""Housekeeping: removes what no publication, run or reader needs any more from the lake, the pages and the ledger.

Delta's own vacuum goes by age: it would remove the files of a night that may be put back, a week after they were
replaced. Here a file stays as long as a version that somebody needs holds it:

- a version of a run or publication that is kept (``ledger.retention``);
- of a feature set, the slice that any publication ever published: training sets read it as it was known then;
- a version that was the latest one at some time since ``Limits.safe_since``: somebody may be reading it.

Files written since then stay in any case: a commit under way may be about to name them. Old rows of raw and gone are
first taken out of their tables. Training sets are never touched.

Belongs here: what of the lake's folders may go, and compaction. Does not: what the ledger needs, and its own rows.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from include.contract import Table
from include.contract.types import day_number
from include.gate import handoff
from include.lake import export_files, storage, writes
from include.lake import tables as lake
from include.lake.storage import File
from include.ledger import exports, retention
from include.ledger.locks import held
from include.ledger.migrations import prepare
from include.ledger.retention import Needs
from include.pipeline.run_request import refuse_unknown
from include.settings import settings
from include.sources import lake_sources
from include.sources.inventory_counts import INVENTORY_COUNTS

FORM = ("dry_run",)  # what a person may ask of a run
SMALL_BYTES = 32 * 1024 * 1024
MOST_SMALL = 20  # small files in a table; with more of them, opening them takes longer than reading
_LOG_FILE = re.compile(r"(\d{20})\.")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """What is old.

    Attributes:
        keep_since: runs and publications since then are kept.
        safe_since: what was written, or could be read as the latest, since then may be in use.
    """

    keep_since: datetime
    safe_since: datetime

    @classmethod
    def at(cls, now: datetime) -> Limits:
        """As the settings say."""
        return cls(
            now - timedelta(days=settings().retention_days), now - timedelta(hours=settings().retention_safe_hours)
        )


def check(conf: Mapping[str, object]) -> None:
    """Refuse a form that asks for what there is not: a misspelt ``dry_run`` would remove things.

    Raises:
        WrongRequest: naming it.
    """
    refuse_unknown(conf, FORM)
    prepare()


def compact(tables: Iterable[Table], *, dry_run: bool, most_small: int = MOST_SMALL) -> dict[str, int]:
    """Compact the small files of lake/clean, of the counts of stock and of the reporting tables.

    Each is compacted while no night writes it. Tables of slices are left alone: a slice is a file of its own, and
    compaction would mix it with others.

    Args:
        tables: what is published.
        dry_run: only report what would be done.
        most_small: compact tables with more small files than this.

    Returns:
        Per table, how many small files it had.
    """
    sources = lake_sources(settings().sources)
    locks = {("clean", name): "accept" for name in sources}
    locks |= {("clean", source.versions.name): "accept" for source in sources.values() if source.history}
    locks[("kept", INVENTORY_COUNTS.name)] = "accept"
    locks |= {
        (table.schema, table.name): f"build {table.qualified_name}" for table in tables if table.rebuild.kind != "as_of"
    }
    done = {}
    for (layer, name), lock in locks.items():
        with held(lock):
            small = [file for file in storage.find_all(lake.files(layer, name)) if file and file.bytes < SMALL_BYTES]
            if len(small) > most_small:
                done[f"{layer}.{name}"] = len(small)
                if not dry_run:
                    writes.compact(layer, name)
    _tell("compacted", dry_run, {name: f"{count:,} small files" for name, count in done.items()})
    return done


def forget_runs(limits: Limits, *, dry_run: bool) -> dict[str, int]:
    """Delete the rows of old runs from lake/raw and lake/gone, and remove their report and Data Docs pages.

    Returns:
        Per table, how many runs' rows; and how many pages.
    """
    past = retention.needs(limits.keep_since).past_runs
    done: dict[str, int] = {}
    for layer, name in _tables("raw", "gone"):
        runs = sorted(past & lake.runs(layer, name))
        if runs:
            done[f"{layer}.{name}"] = len(runs)
            if not dry_run:
                writes.forget_run(layer, name, *runs)
    pages = [
        page
        for run in sorted(past)
        for page in storage.files(storage.join(settings().reports, run))
        if page.name.endswith(".html")
    ]
    if pages:
        done["pages"] = len(pages)
        _remove(pages, dry_run=dry_run)
    _tell("runs forgotten", dry_run, done)
    return done


def forget_entries(limits: Limits, *, dry_run: bool) -> dict[str, int]:
    """Delete the ledger's rows that are past their time.

    Returns:
        Rows per table of the ledger.
    """
    done = retention.forget(limits.keep_since, dry_run=dry_run)
    _tell("rows of the ledger", dry_run, done)
    return done


def remove_files(limits: Limits, tables: Iterable[Table], *, dry_run: bool) -> dict[str, dict[str, int]]:
    """Remove the files of the lake that nothing needs.

    Args:
        limits: what is old.
        tables: what is published: of feature sets, which slice a night's publication is.
        dry_run: whether they are only listed.

    Returns:
        Per table, and for what dead processes left, how many files and bytes.

    Raises:
        RuntimeError: when a table's latest version names a file that is not there: then nothing of it is removed.
    """
    needs = retention.needs(limits.keep_since)
    published = {(table.schema, table.name): table for table in tables}
    done = {}
    for layer, name in _tables(*lake.LAYERS):
        files = list(_unneeded(layer, name, needs, published.get((layer, name)), limits.safe_since))
        done[f"{layer}.{name}"] = _remove(files, dry_run=dry_run)
    scratch = (storage.in_lake("scratch", name) for name in storage.folders(storage.in_lake("scratch")))
    old_scratch = [folder for folder in scratch if storage.is_older(folder, limits.safe_since)]
    for place, folders in (("scratch", old_scratch), ("gate", handoff.old_runs())):
        files = [file for folder in folders for file in storage.files(folder, deep=True)]
        done[place] = _remove(files, dry_run=dry_run)
        for folder in [] if dry_run else folders:
            storage.remove_folder(folder)
    places = (settings().lake, settings().reports)
    halves = [file for place in places for file in storage.unfinished(place) if file.written_at < limits.safe_since]
    done["unfinished"] = _remove(halves, dry_run=dry_run)
    done = {place: figures for place, figures in done.items() if figures["files"]}
    _tell("removed", dry_run, {place: f"{one['files']:,} files, {one['bytes']:,} bytes" for place, one in done.items()})
    return done


def remove_exports(limits: Limits, at: datetime, *, dry_run: bool) -> dict[str, int]:
    """Remove the files of exports that have expired, and what killed runs left of others.

    Args:
        limits: what may be in use.
        at: what has expired by then goes.
        dry_run: only report what would go.

    Returns:
        How many files and bytes.
    """
    if not dry_run:
        exports.expire(at)
    needed = exports.files(at)
    gone = [one for one in export_files.there() if one.name not in needed and one.written_at < limits.safe_since]
    done = {"files": len(gone), "bytes": sum(one.bytes for one in gone)} if gone else {}
    for one in [] if dry_run else gone:
        export_files.remove(one.name)
    _tell("exports", dry_run, done)
    return done


def _unneeded(layer: str, name: str, needs: Needs, table: Table | None, safe_since: datetime) -> Iterator[File]:
    """The files of a table, of its commits' changes and of its log, that nothing needs."""
    told = lake.commits(layer, name)
    if not told:
        return
    folder = lake.folder(layer, name)
    log = storage.files(storage.join(folder, "_delta_log"))
    first, latest = _first_version(log), told[0].version
    pinned = set(needs.versions.get((layer, name), ()))
    slices = needs.slices.get((layer, name), frozenset())
    asked = pinned | {version for version, _ in slices}
    if lost := sorted(version for version in asked if not first <= version <= latest):
        _log.warning("%s.%s: the ledger names versions that the lake has lost: %s", layer, name, lost)
    # Whoever reads the latest version meanwhile reads one of these.
    pinned |= {one.version for one in told if one.at >= safe_since} | {latest}
    pinned |= {max((one.version for one in told if one.at < safe_since), default=latest)}

    used = {file for version in pinned if first <= version <= latest for file in lake.named_files(layer, name, version)}
    for version, night in slices:
        if first <= version <= latest:
            used |= set(_slice_files(layer, name, version, table, night))
    # Compared by name, which is unique: a path may be written in more ways than one.
    names = {storage.name_of(file) for file in used}
    logged = {file.path for file in log}
    stored = [
        file for file in storage.files(folder, deep=True) if file.name.endswith(".parquet") and file.path not in logged
    ]
    named_now = {storage.name_of(file) for file in lake.named_files(layer, name, latest)}
    if missing := named_now - {file.name for file in stored}:
        raise RuntimeError(f"{layer}.{name}: its latest version names files that are not there: {sorted(missing)[:3]}")
    yield from (file for file in stored if file.name not in names and file.written_at < safe_since)

    # What lies between versions that are needed is needed too: from one, a table is brought up to the other.
    oldest = min(version for version in asked | pinned if version >= first)
    named = {storage.name_of(one.changes) for one in told if one.changes and one.version > oldest}
    changes = storage.files(lake.changes_folder(layer, name))
    yield from (file for file in changes if file.name not in named and file.written_at < safe_since)
    start = _checkpoint(log, oldest)
    yield from (file for version, file in _log_files(log) if version < start and file.written_at < safe_since)


def _slice_files(layer: str, name: str, version: int, table: Table | None, night: date) -> Sequence[str]:
    """The files of a feature set's version that a night published; all of them where the set is not known any more."""
    if table is None or table.rebuild.kind != "as_of":
        return lake.named_files(layer, name, version)
    value = day_number(table.rebuild.slice_of(night))
    return lake.slice_files(layer, name, version, table.rebuild.column or "", value)


def _log_files(log: Sequence[File]) -> list[tuple[int, File]]:
    return [(int(found[1]), file) for file in log if (found := _LOG_FILE.match(file.name))]


def _checkpoint(log: Sequence[File], version: int) -> int:
    """The last version at or before this one from which the log can be read on its own."""
    found = [number for number, file in _log_files(log) if ".checkpoint" in file.name and number <= version]
    return max(found, default=0)


def _first_version(log: Sequence[File]) -> int:
    """The first version that can be opened: 0, or that of the first checkpoint where the log begins with one."""
    numbers = {number for number, file in _log_files(log) if ".checkpoint" not in file.name}
    return 0 if 0 in numbers else min(number for number, file in _log_files(log) if ".checkpoint" in file.name)


def _tables(*layers: str) -> list[tuple[str, str]]:
    """The tables there are in layers."""
    return [
        (layer, name)
        for layer in layers
        for name in storage.folders(storage.in_lake(layer))
        if "_delta_log" in storage.folders(lake.folder(layer, name))
    ]


def _remove(files: Iterable[File], *, dry_run: bool) -> dict[str, int]:
    """Remove files, and folders that are empty after it.

    Returns:
        How many files and bytes.
    """
    files = list(files)
    for file in files if dry_run else ():
        _log.info("would go: %s", file.path)
    if not dry_run:
        paths = [file.path for file in files]
        storage.remove(paths)
        storage.remove_empty(folder for folder in map(storage.folder_of, paths) if _is_of_run(folder))
    return {"files": len(files), "bytes": sum(file.bytes for file in files)}


def _is_of_run(folder: str) -> bool:
    """Whether a folder is a run's own: that of its pages, or of its rows in a table."""
    return storage.name_of(folder).startswith(f"{lake.RUN}=") or storage.folder_of(folder) == settings().reports


def _tell(what: str, dry_run: bool, figures: Mapping[str, object]) -> None:
    listed = "; ".join(f"{name}: {figure}" for name, figure in figures.items()) or "nothing"
    _log.info("%s%s: %s", "dry run, nothing is changed; " if dry_run else "", what, listed)
