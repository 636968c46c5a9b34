"""Two hundred people read the API while nights are published: what that costs a publication, and the server.

A publication is measured that can be done again: the night before is put back, then the night itself, which each time
changes the same rows in one transaction. Alone and with readers by turns, so that what else happens on the machine
falls on both.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from tests.bench.measuring import job
from tests.bench.place import NEXT_DAY, Place
from tests.bench.stages import Line
from tests.serve.conftest import airflow_of, token_of

READERS: Final = 200
PAUSE: Final = 5.0  # seconds between two questions of one reader: 40 questions a second
ROUNDS: Final = 3  # of both kinds; each puts two nights back
API: Final = "/stocktake/api/v1"
MEGABYTE: Final = 1024 * 1024


@dataclass
class Reading:
    """What the readers met.

    Attributes:
        seconds: of every answer.
        statuses: how many answers had which.
        memory: of the server in bytes, once a second.
    """

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    memory: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Found:
    """What it costs to be read.

    Attributes:
        alone: the seconds of both nights put back, by round.
        beside: the same beside the readers.
        reading: what the readers met.
    """

    alone: list[float]
    beside: list[float]
    reading: Reading

    @property
    def slower(self) -> float:
        """How many times as long a publication takes beside the readers."""
        return statistics.median(self.beside) / statistics.median(self.alone)

    @property
    def lines(self) -> list[Line]:
        """The lines of the bench's table."""
        met, memory = self.reading, self.reading.memory
        answered = ", ".join(f"{count:,} times {status}" for status, count in sorted(met.statuses.items()))
        half, most = statistics.median(met.seconds), statistics.quantiles(met.seconds, n=20)[-1]
        grown = f"{min(memory) / MEGABYTE:,.0f} MB at first, {memory[-1] / MEGABYTE:,.0f} at the end"
        return [
            Line("two nights put back, nobody reads", statistics.median(self.alone), 0, None),
            Line(
                f"the same beside {READERS} readers",
                statistics.median(self.beside),
                0,
                None,
                f"{self.slower:.2f} times as long",
            ),
            Line("an answer to a reader, median", half, len(met.seconds), max(memory), f"{answered}; server: {grown}"),
            Line("the slowest of twenty answers", most, 0, None),
        ]


def readers(place: Place, nights: tuple[date, date], say: Callable[[Line], None]) -> Found:
    """Put two nights back by turns, with and without readers.

    Args:
        place: the shop; both nights are published there.
        nights: the night before, and the last one.
        say: told every line.
    """
    alone: list[float] = []
    beside: list[float] = []
    users = {f"reader{number}": "viewer" for number in range(READERS)}
    home = place.work / "airflow"
    home.mkdir(parents=True, exist_ok=True)
    reading = Reading()
    with airflow_of(_Warehouse(place), home, users=users, STOCKTAKE_TIMEZONE="Europe/Berlin") as airflow:
        tokens = [token_of(airflow, user) for user in users]
        for number in range(ROUNDS):
            alone.append(_put_back(place, nights, f"alone {number}"))
            with _reading(str(airflow.base_url), tokens, home, reading):
                beside.append(_put_back(place, nights, f"beside {number}"))
    found = Found(alone, beside, reading)
    for line in found.lines:
        say(line)
    return found


@dataclass(frozen=True)
class _Warehouse:
    place: Place

    def url(self, role: str) -> str:
        return self.place.warehouse(role)


def _put_back(place: Place, nights: tuple[date, date], name: str) -> float:
    return sum(
        job("republish", place.environment, run_id=f"{name}, {night}", night=night.isoformat()).seconds
        for night in nights
    )


@contextmanager
def _reading(url: str, tokens: list[str], home: Path, reading: Reading) -> Iterator[None]:
    """Readers, in a thread of their own, until the block ends; they have all begun when it begins."""
    over = threading.Event()

    def run() -> None:
        # Readers sit at machines of their own: here they may have what time is left.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        asyncio.run(_all(url, tokens, _server(home), reading, over))

    with ThreadPoolExecutor(1) as elsewhere:
        readers = elsewhere.submit(run)
        time.sleep(2 * PAUSE)
        try:
            yield
        finally:
            over.set()
        readers.result()  # who could not read did not cost anything: that measures nothing


async def _all(url: str, tokens: list[str], server: psutil.Process, reading: Reading, over: threading.Event) -> None:
    limits = httpx.Limits(max_connections=len(tokens), max_keepalive_connections=len(tokens))
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60, limits=limits) as client:
        people: asyncio.Future[Any] = asyncio.gather(*(_reader(client, token, reading) for token in tokens))
        watching: asyncio.Future[Any] = asyncio.create_task(_watch(server, reading, over))
        await asyncio.wait([people, watching], return_when=asyncio.FIRST_COMPLETED)
        watching.cancel()
        people.cancel()
        with suppress(asyncio.CancelledError):
            await people


async def _reader(client: httpx.AsyncClient, token: str, reading: Reading) -> None:
    chance = random.Random(token)  # noqa: S311 - of nothing secret
    await asyncio.sleep(chance.uniform(0, PAUSE))
    while True:
        started = time.perf_counter()
        path, asked = _question(chance)
        answer = await client.get(f"{API}/{path}", params=asked, headers={"Authorization": f"Bearer {token}"})
        reading.seconds.append(time.perf_counter() - started)
        reading.statuses[answer.status_code] += 1
        # Who is told when to ask again does, as the pages do.
        again = float(answer.headers.get("Retry-After", 0))
        await asyncio.sleep(again + chance.uniform(0, 2 * PAUSE))


async def _watch(server: psutil.Process, reading: Reading, over: threading.Event) -> None:
    while not over.is_set():
        reading.memory.append(int(server.memory_info().rss))
        await asyncio.sleep(1)


def _server(home: Path) -> psutil.Process:
    """The API server whose folder this is."""
    return next(
        one
        for one in psutil.process_iter(["environ"])
        if (one.info["environ"] or {}).get("AIRFLOW_HOME") == str(home) and "airflow_server" in " ".join(one.cmdline())
    )


def _question(chance: random.Random) -> tuple[str, dict[str, str | int]]:
    """What somebody asks: a figure, which is kept after the first time, or rows that nobody has asked for before."""
    figures = ("net_sales", "orders", "suggested_orders", "stock_health", "top_products", "in_quarantine")
    if chance.random() < 0.5:
        return f"metrics/{chance.choice(figures)}", {}
    first = chance.randrange(1, 100_000)
    rows: list[tuple[str, dict[str, str | int]]] = [
        ("order_lines", {"filter": f"order_id>={first}", "limit": 50}),
        ("orders", {"filter": f"order_id>={first}", "columns": "order_id,ordered_on,gross_sales"}),
        ("daily_product_sales", {"filter": f"product_id={first % 200 + 1}", "sort": "-day"}),
        ("inventory_health", {"filter": f"night={NEXT_DAY}", "sort": "-suggested_order"}),
    ]
    table, asked = chance.choice(rows)
    return f"tables/reporting.{table}/rows", asked
