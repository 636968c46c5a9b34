"""How fast is it? ``python -m tests.bench --scale 0.1``: nights of a shop of any size beside other ways to do the same.

Belongs here: a program that measures and tells. Does not: a test; nothing here fails because a machine is slow.
"""

from __future__ import annotations

import platform
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Annotated

import psutil
import typer

from include.local.embedded_postgres import locked
from include.local.profile import state_folder
from include.settings import ROOT
from tests.bench import rivals
from tests.bench import sizes as sizes_of
from tests.bench.place import DAYS, FULL_ORDERS, LAST_DAY, NEXT_DAY, SERVER, TOUCHED, Place
from tests.bench.readers import READERS, readers
from tests.bench.report import HISTORY, Found, cells
from tests.bench.sizes import Size
from tests.bench.stages import Line, builds, connections, features, night
from transforms.engines import ENGINES


def bench(
    scale: Annotated[float, typer.Option(min=0.001, help="1 is 1.5 M orders and about 6 M lines.")] = 0.1,
    engines: Annotated[str, typer.Option(help="Which engines, by comma; the first one builds the nights.")] = "",
    sizes: Annotated[str, typer.Option(help="Instead, nights alone, of shops of these scales, by comma.")] = "",
    record: Annotated[bool, typer.Option(help="Whether what is found is added to history.json.")] = False,
) -> None:
    """Measure nights, tables and engines, and other ways to do the same work, on one shop; or nights of several."""
    chosen = [name.strip() for name in engines.split(",") if name.strip()] or list(ENGINES)
    if unknown := sorted(set(chosen) - set(ENGINES)):
        raise typer.BadParameter(f"{', '.join(unknown)}: there are {', '.join(ENGINES)}", param_hint="--engines")
    try:
        scales = [float(one) for one in sizes.split(",") if one.strip()]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--sizes") from None
    folder = state_folder() / "bench"
    signal.signal(signal.SIGTERM, _stop)
    with locked(folder / "running", lambda: typer.echo("Waiting for another bench of this checkout")):
        if scales:
            several: list[Size] = []
            for one in scales:
                several.append(_measure_size(folder, one, chosen[0]))
                page = sizes_of.write(_about(chosen[:1]), several, folder / "results")
        else:
            found = _measure(Place(folder, orders=round(FULL_ORDERS * scale)), scale, chosen)
            page = found.write(folder / "results", f"scale-{scale:g}")
            if record:
                found.record(HISTORY, _revision())
    typer.echo(f"\n{page.read_text()}\n\nWritten to {page} and {page.with_suffix('.json')}.")


def _measure(place: Place, scale: float, engines: list[str]) -> Found:
    """Everything, one after the other: what is measured has the machine to itself."""
    started = time.monotonic()
    typer.echo(f"The shop of {place.orders:,} orders: filled on first use, then kept in {place.folder}")
    with place.open() as was_filled:
        typer.echo(
            f"  {'was there' if was_filled else 'filled'}: {time.monotonic() - started:.1f} s\nOther ways to read"
        )
        extraction = rivals.extraction(place, _say)
        typer.echo("A full night")
        full = night(place, "full", LAST_DAY, engines[0], _say)
        typer.echo("Its features")
        first = features(place, "features", engines[0], _say)
        typer.echo("Every table on every engine")
        built = builds(place, [full, first], engines, _say)
        typer.echo("Other ways to write")
        loading = rivals.loading(place, full, _say)
        typer.echo("SQL in Postgres")
        sql = rivals.sql_in_postgres(place, _say)
        typer.echo("dlt and dbt")
        dlt_and_dbt = rivals.dlt_and_dbt(place, LAST_DAY, _say)
        touched = place.trade()
        typer.echo(f"A night after one day of trade: {touched:,} orders")
        incremental = night(place, "incremental", NEXT_DAY, engines[0], _say)
        typer.echo("Its features")
        second = features(place, "next features", engines[0], _say)
        typer.echo("dlt and dbt after it")
        next_dlt_and_dbt = rivals.dlt_and_dbt(place, NEXT_DAY, _say)
        typer.echo("A night in which nothing changed")
        idle = night(place, "idle", NEXT_DAY, engines[0], _say)
        typer.echo(f"{READERS} readers of the API beside a publication")
        read = readers(place, (LAST_DAY, NEXT_DAY), _say)
        with place.anew_in_bucket() as moved:
            typer.echo("A full night with the lake in a bucket")
            bucket = night(moved, "full", LAST_DAY, engines[0], _say)
            moved.trade()
            typer.echo("A night after one day of trade with it")
            next_bucket = night(moved, "incremental", NEXT_DAY, engines[0], _say)
        place.begin_anew()
        typer.echo("The whole shop on several connections")
        on = connections(place, LAST_DAY, engines[0], _say)
    orders = next(line.rows for line in full.lines if line.work == "validate orders")
    about = {
        "scale": f"{scale:g}: {orders:,} orders of {DAYS} days, {place.size.products:,} products",
        "incremental": f"{touched:,} orders edited or new, 1 in {orders / touched:,.0f} (asked: 1 in {TOUCHED})",
        **_about(engines),
        "took": f"{time.monotonic() - started:,.0f} s",
    }
    return Found(
        about=about, full=full, features=first, incremental=incremental, next_features=second, idle=idle,
        builds=built, extraction=extraction, loading=loading, sql=sql,
        dlt_and_dbt=dlt_and_dbt, next_dlt_and_dbt=next_dlt_and_dbt, read=read,
        bucket=bucket, next_bucket=next_bucket, connections=on, engines=engines,
    )  # fmt: skip


def _measure_size(folder: Path, scale: float, engine: str) -> Size:
    """The nights of a shop of a size, which is filled for it and not kept: at scale 4 it has some 80 M rows."""
    place = Place(folder, orders=round(FULL_ORDERS * scale), keep=False)
    typer.echo(f"The nights of a shop of {place.orders:,} orders")
    return sizes_of.measured(place, scale, engine, _say)


def _about(engines: Sequence[str]) -> dict[str, str]:
    """What is measured, and on what."""
    return {
        "engines": f"{', '.join(engines)}; the nights are built on {engines[0]}",
        "machine": f"{psutil.cpu_count()} cores, {psutil.virtual_memory().total >> 30} GB, {platform.system()},"
        f" Python {platform.python_version()}",
        "Postgres": "embedded, " + ", ".join(f"{name} {value}" for name, value in SERVER.items()),
        "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, at {_revision()}",
    }


def _say(line: Line) -> None:
    """Tell a line as it comes."""
    work, seconds, rows, pace, megabytes, note = cells(line)
    typer.echo(f"  {work:<45} {seconds:>9} s {rows:>12} rows {pace:>12}/s {megabytes:>7} MB  {note}")
    sys.stdout.flush()


def _revision() -> str:
    """The commit that is measured."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "no commit"


def _stop(number: int, _frame: FrameType | None) -> None:
    """End as Ctrl-C does: whatever was started is ended first."""
    raise KeyboardInterrupt(f"signal {number}")


if __name__ == "__main__":
    typer.run(bench)
