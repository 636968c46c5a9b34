"""A night in one of the shapes of a deployment, as processes of this machine: ``python -m tests.deployments celery``.

It runs on one machine with a lake in a folder first, then in the shape, on the same shop, and compares every table.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from include.local.embedded_postgres import Cluster
from include.local.profile import state_folder
from tests.bench.place import FULL_ORDERS, Place
from tests.deployments.stack import SHAPES, Shape, databases, deployed, on_engine
from transforms.engines import AUTO


def main(
    shape: Annotated[str, typer.Argument(help=f"One of {', '.join(SHAPES)}.")],
    engine: Annotated[str, typer.Option(help="What builds the tables in the shape.")] = AUTO,
    image: Annotated[Path | None, typer.Option(help="The virtual environment of the image; else this one.")] = None,
    scale: Annotated[float, typer.Option(min=0, help="The bench's shop at this size; 0 is the demo shop.")] = 0,
) -> None:
    """Run a night on this machine alone, and in a shape; say what each took, and whether every table is the same."""
    if shape not in SHAPES:
        raise typer.BadParameter(f"{shape!r} is none of {', '.join(SHAPES)}")
    try:
        alone, there = _nights(shape, engine, scale, image)
    except (RuntimeError, AssertionError) as error:  # a service does not come up, or a night fails
        raise SystemExit(str(error)) from None
    differing = sorted(table for table in {*alone, *there} if alone.get(table) != there.get(table))
    if differing:
        raise SystemExit(f"{shape} and one machine differ in {', '.join(differing)}")
    typer.echo(f"All {len(there)} tables are the same, digest by digest.")


def _nights(shape: str, engine: str, scale: float, image: Path | None) -> tuple[dict[str, str], dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="stocktake-deployment-") as folder, _shop(Path(folder), scale) as cluster:
        alone = _night(Path(folder) / "alone", cluster, "local", AUTO, fill=not scale)
        return alone, _night(Path(folder) / shape, cluster, shape, engine, image=image)


def _night(
    folder: Path, cluster: Cluster, shape: str, engine: str, *, fill: bool = False, image: Path | None = None
) -> dict[str, str]:
    """The first night in a shape, and its features: the digest of every table."""
    built_by = Shape() if engine == AUTO else on_engine(engine)
    with deployed(folder, cluster, SHAPES[shape] | built_by, fill=fill, programs=image and image / "bin") as stack:
        started = time.monotonic()
        # The schedule's, which comes before any that is triggered.
        stack.first_night()
        seconds = time.monotonic() - started
        services = [one for one in stack.deployment.running.values() if one.process.poll() is None]
        typer.echo(
            f"{shape}: {seconds:.0f} s for the first night and its features, engine {engine}. Afterwards"
            f" {len(services) + 1} containers, {stack.deployment.memory() / 1024**3:.1f} GB without Postgres."
        )
        return stack.digests()


@contextmanager
def _shop(folder: Path, scale: float) -> Iterator[Cluster]:
    if scale:
        place = Place(state_folder() / "bench", orders=round(FULL_ORDERS * scale))
        with place.open():
            yield place.cluster
        return
    with databases(folder / "postgres") as cluster:
        yield cluster


if __name__ == "__main__":
    typer.run(main)
