"""How much work small nights are: a stage that begins to do more is seen in review, whatever machine it runs on.

What was counted last stands in ``work.json``. Where more is meant, or less is done, remove that file and run this test:
it writes the file anew, and fails once.
"""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg
import pytest
from psycopg import sql

from include.ledger import runs
from include.local.embedded_postgres import SUPERUSER
from include.pipeline import nightly, table_build
from include.settings import settings
from include.sources import shop_sources
from tests.conftest import Database
from tests.nights import Nights
from transforms.build import build
from transforms.registry import TABLES

RECORDED: Final = Path(__file__).with_name("work.json")
BYTES: Final = "bytes written into the lake"
READ: Final = "rows read in the shop"
_SLACK: Final = {BYTES: 1.1, READ: 1.1}  # a Delta log holds times and names; by an index, Postgres reads other rows
# What opens and ends transactions follows from what is in them.
_ASKED: Final = r"LOG:  (?:statement|execute [^:]*): (?!\s*(?i:begin|commit|rollback|set|show|discard|deallocate)\b)"
_ROWS: Final = {
    "shop": (READ, "select sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) from pg_stat_user_tables"),
    "warehouse": (
        "rows written in the warehouse",
        "select tup_inserted + tup_updated + tup_deleted from pg_stat_database where datname = current_database()",
    ),
}
_OTHERS: Final = """
select count(*) from pg_stat_activity
where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
"""


@dataclass
class Work:
    """What the stages of nights ask of two databases, and write into a lake.

    Attributes:
        databases: the shop and the warehouse.
        lake: the folder.
        found: by stage, what was counted.
    """

    databases: Mapping[str, Database]
    lake: Path
    found: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))

    def __post_init__(self) -> None:
        """Have the server note every statement."""
        self._idle = {name: self._alone(name, _OTHERS) for name in self.databases}
        for one in self.databases.values():
            with psycopg.connect(one.url(SUPERUSER), autocommit=True) as server:
                name = sql.Identifier(one.name)
                server.execute(sql.SQL("alter database {} set log_statement = 'all'").format(name))

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Count what the block does, as a stage's."""
        rows, files = self._rows(), self._files()
        log = self.databases["shop"].cluster.log
        begins = log.stat().st_size
        yield
        counted = self.found[stage]
        with log.open("rb") as lines:
            lines.seek(begins)
            said = lines.read().decode()
        for name, one in self.databases.items():
            counted[f"statements in the {name}"] += len(re.findall(rf" {one.name} {_ASKED}", said))
        for name, count in self._rows().items():
            counted[_ROWS[name][0]] += count - rows[name]
        new = {file: size for file, size in self._files().items() if file not in files}
        counted["files written into the lake"] += len(new)
        counted[BYTES] += sum(new.values())

    def _rows(self) -> dict[str, int]:
        """So far, of both; what a session counts is known when it has ended."""
        for name in self.databases:
            deadline = time.monotonic() + 10
            while self._alone(name, _OTHERS) > self._idle[name]:
                assert time.monotonic() < deadline, f"somebody is still in the {name}"
                time.sleep(0.02)
        return {name: self._alone(name, _ROWS[name][1]) for name in self.databases}

    def _alone(self, name: str, question: str) -> int:
        with psycopg.connect(self.databases[name].url(SUPERUSER), options="-c log_statement=none") as server:
            (count,) = server.execute(question.encode()).fetchone() or (0,)
            return int(count)

    def _files(self) -> dict[Path, int]:
        return {file: file.stat().st_size for file in self.lake.rglob("*") if file.is_file()}


def count(nights: Nights, work: Work, called: str) -> None:
    """Run a night, and count what each of its stages does."""
    with work.of(f"{called}: begin"):
        run_id = nights.begin()
    with work.of(f"{called}: extract"):
        nightly.extract(run_id)
    for source in shop_sources(settings().sources):
        with work.of(f"{called}: validate"):
            nightly.validate(run_id, source)
    with work.of(f"{called}: check_tolerance"):
        nightly.check_tolerance(run_id)
    with work.of(f"{called}: accept"):
        nightly.accept(run_id)
    for table in nights.reporting:
        one = TABLES[table.name]
        with work.of(f"{called}: build"):
            table_build.build(run_id, table, one.layers, one.sources, build, one.code)
    with work.of(f"{called}: audit"):
        nightly.audit(run_id, nights.reporting)
    with work.of(f"{called}: publish"):
        nightly.publish(run_id, nights.reporting)
    runs.finish_run(run_id, "success")


def test_no_stage_does_more_than_it_did(
    nights: Nights, old_shop: Database, warehouse_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOCKTAKE_ENGINES", json.dumps(dict.fromkeys(nights.names, "duckdb")))
    settings.cache_clear()
    work = Work({"shop": old_shop, "warehouse": warehouse_database}, Path(settings().lake))
    count(nights, work, "first night")
    nights.shop.execute("update order_items set unit_cost = unit_cost + 1, updated_at = now() where order_id in (7, 8)")
    count(nights, work, "next night")
    found = {stage: dict(counted) for stage, counted in work.found.items()}
    if not RECORDED.exists():
        RECORDED.write_text(json.dumps(found, indent=1) + "\n")
        pytest.fail(f"{RECORDED.name} is written anew: look at what is in it, and run this again")
    recorded = json.loads(RECORDED.read_text())
    assert found.keys() == recorded.keys()
    more = [
        f"{stage}: {count:,} {what}, and not {recorded[stage][what]:,}"
        for stage, counted in found.items()
        for what, count in counted.items()
        if count > recorded[stage][what] * _SLACK.get(what, 1)
    ]
    assert not more, more
    assert sum(found["first night: publish"].values()) > 0
