"""The demo shop's command line: ``python -m include.demo_shop --help``."""

from __future__ import annotations

import asyncio
import time
from datetime import date, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import psycopg
import typer
from psycopg import Connection

from include.demo_shop.commands import CloseDay
from include.demo_shop.defects import DEFECTS
from include.demo_shop.errors import ShopError
from include.demo_shop.history import HistorySize, ShopNotEmpty, fill_history
from include.demo_shop.live import EmptyShop, Traffic, trade
from include.demo_shop.office import Office
from include.demo_shop.planting import AlreadyPlanted, NoVictim, UnknownDefect, plant, planted_defects, unplant
from include.demo_shop.schema import (
    KeyType,
    create_schema,
    free_article_numbers,
    loosen_schema,
    schema_exists,
    upgrade_schema,
    widen_schema,
)
from include.demo_shop.service import open_engine

app = typer.Typer(help="The demo shop: create it, fill it, trade in it, break it, heal it.", no_args_is_help=True)

Url = Annotated[
    str, typer.Option("--url", envvar="STOCKTAKE_SHOPKEEPER_URL", show_envvar=True, help="The shop, as its owner.")
]
Keys = Annotated[str, typer.Option(help="The type of the shop's keys: integer, text or uuid.")]


def _open(url: str) -> Connection[Any]:
    return psycopg.connect(url, application_name="stocktake-shop")


def _key_type(keys: str) -> KeyType:
    known: dict[str, KeyType] = {"integer": "integer", "text": "text", "uuid": "uuid"}
    if keys not in known:
        raise typer.BadParameter(f"{keys!r} is none of {', '.join(known)}", param_hint="--keys")
    return known[keys]


def _upgrade(shop: Connection[Any]) -> None:
    for added in upgrade_schema(shop):
        rows = "its default in every row" if "." in added else "without rows"
        typer.echo(f"The shop is of an earlier release and lacked {added}: added, {rows}.")
    for column in loosen_schema(shop):
        typer.echo(f"The shop is of an earlier release, in which {column} was never null: it may be now.")
    for name in free_article_numbers(shop):
        typer.echo(f"The shop is of an earlier release: {name} holds of active products alone now.")
    if columns := widen_schema(shop):
        typer.echo(
            f"The shop is of an earlier release, whose amounts had two decimals: {', '.join(columns)} have three."
        )


def _fail(message: object) -> typer.Exit:
    typer.echo(f"Nothing was changed: {message}.", err=True)
    return typer.Exit(1)


@app.command()
def create(url: Url, keys: Keys = "integer") -> None:
    """Create the shop's empty tables, if there are none."""
    with _open(url) as shop:
        if schema_exists(shop):
            _upgrade(shop)
            typer.echo("The shop's tables exist already.")
            return
        create_schema(shop, _key_type(keys))
    typer.echo("The shop's tables are there, and empty.")


@app.command()
def fill(
    url: Url,
    orders: Annotated[int, typer.Option(min=1, help="About how many orders.")] = 50_000,
    days: Annotated[int, typer.Option(min=2, help="Over how many business days.")] = 400,
    products: Annotated[int, typer.Option(min=1, help="How many products.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another past.")] = 1,
    last_day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The last day; by default yesterday in the zone.")
    ] = None,
    timezone: Annotated[str, typer.Option(envvar="STOCKTAKE_TIMEZONE", help="The shop's time zone.")] = "UTC",
    keys: Keys = "integer",
) -> None:
    """Give an empty shop a past; create its tables if there are none."""
    zone = ZoneInfo(timezone)
    last = last_day.date() if last_day else _yesterday(zone)
    started = time.monotonic()
    with _open(url) as shop:
        if schema_exists(shop):
            _upgrade(shop)
        else:
            create_schema(shop, _key_type(keys))
        try:
            rows = fill_history(shop, last_day=last, seed=seed, timezone=zone, size=HistorySize(orders, days, products))
        except ShopNotEmpty:
            typer.echo("The shop has a past already; none of its rows was changed.")
            return
    for table, count in rows.items():
        typer.echo(f"{table:<20} {count:>12,}")
    typer.echo(f"The shop has {days} days of past up to {last} ({time.monotonic() - started:.1f} s).")


@app.command(name="trade")
def trade_live(
    url: Url,
    customers: Annotated[int, typer.Option(min=1, help="How many trade at once.")] = 20,
    per_second: Annotated[float, typer.Option(min=0.1, help="Commands per second, together.")] = 50.0,
    seconds: Annotated[float, typer.Option(min=0.1, help="For how long.")] = 10.0,
    seed: Annotated[int, typer.Option(min=0, help="What they want.")] = 1,
    timezone: Annotated[str, typer.Option(envvar="STOCKTAKE_TIMEZONE", help="The shop's time zone.")] = "UTC",
) -> None:
    """Let customers trade in the shop, now and at once, through its order service; a day that ends is closed."""
    try:
        happened = asyncio.run(trade(url, Traffic(customers, per_second, seconds, seed), ZoneInfo(timezone)))
    except EmptyShop as error:
        raise _fail(error) from None
    for what, times in sorted(happened.items(), key=lambda pair: (-pair[1], pair[0])):
        typer.echo(f"{what:<24} {times:>8,}")


@app.command(name="close-day")
def close_day(
    url: Url,
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Which; by default yesterday in the zone.")
    ] = None,
    timezone: Annotated[str, typer.Option(envvar="STOCKTAKE_TIMEZONE", help="The shop's time zone.")] = "UTC",
) -> None:
    """Close a business day: who waits for that hears of it at once, through the outbox."""
    zone = ZoneInfo(timezone)
    closed = day.date() if day else _yesterday(zone)

    async def close() -> None:
        engine = open_engine(url, connections=1)
        try:
            await Office(engine).close_day(CloseDay(closed, zone))
        finally:
            await engine.dispose()

    try:
        asyncio.run(close())
    except ShopError as error:
        raise _fail(error) from None
    typer.echo(f"{closed} is closed.")


@app.command(name="plant")
def plant_defects(
    url: Url,
    names: Annotated[list[str] | None, typer.Argument(help="Which defects; see `defects`.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every defect there is.")] = False,
) -> None:
    """Plant defects into the shop, each in one row."""
    if bool(names) == every:
        raise typer.BadParameter("give names of defects, or --all")
    try:
        with _open(url) as shop:
            done = plant(shop, DEFECTS if every else names or [])
    except (UnknownDefect, AlreadyPlanted, NoVictim) as error:
        raise _fail(error) from None
    for planted in done:
        typer.echo(f"{planted.name:<28} {planted.source:<20} {planted.key}")


@app.command(name="unplant")
def unplant_defects(url: Url) -> None:
    """Heal everything that was planted."""
    with _open(url) as shop:
        healed = unplant(shop)
    for planted in healed:
        typer.echo(f"{planted.name:<28} {planted.source:<20} {planted.key}")
    typer.echo(f"{len(healed)} healed.")


@app.command(name="defects")
def list_defects(
    url: Annotated[
        str | None, typer.Option("--url", envvar="STOCKTAKE_SHOPKEEPER_URL", help="To mark the planted.")
    ] = None,
) -> None:
    """List every kind of defect; those that are planted are marked with their key."""
    keys = {}
    if url:
        with _open(url) as shop:
            keys = {planted.name: planted.key for planted in planted_defects(shop)}
    for defect in DEFECTS.values():
        mark = f"  [planted in {keys[defect.name]}]" if defect.name in keys else ""
        typer.echo(f"{defect.name:<28} {defect.source:<20} {defect.description}{mark}")


def _yesterday(zone: ZoneInfo) -> date:
    """The last closed business day: the only look at the clock."""
    return datetime.now(zone).date() - timedelta(days=1)


if __name__ == "__main__":
    app(prog_name="python -m include.demo_shop")
