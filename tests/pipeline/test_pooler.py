"""A warehouse behind PgBouncer in transaction mode: every transaction may have another session of the server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from include.ledger.locks import held
from include.settings import settings
from tests.nights import Nights

BOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")

pytestmark = [pytest.mark.long, pytest.mark.skipif(BOUNCER is None, reason="Debian's pgbouncer is not here")]


@pytest.fixture
def pooled(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nights]:
    """The same nights, whose loader reaches the warehouse through a pooler with few sessions."""
    direct = conninfo_to_dict(settings().warehouse_url.get_secret_value())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(f"/tmp/stocktake-pooler-{os.getpid()}")  # noqa: S108 - of the pooler's user
    folder.mkdir(mode=0o777, exist_ok=True)
    (folder / "users").write_text(f'"{direct["user"]}" "{direct["password"]}"\n')
    (folder / "pooler.ini").write_text(
        f"""
[databases]
{direct["dbname"]} = host={direct["host"]} port={direct["port"]}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 12
server_reset_query =
"""
    )
    for file in folder.iterdir():
        file.chmod(0o644)
    folder.chmod(0o755)
    command = [str(BOUNCER), str(folder / "pooler.ini")]
    as_nobody = ["-u", "nobody"] if os.geteuid() == 0 else []
    with subprocess.Popen([command[0], *as_nobody, command[1]], stderr=subprocess.DEVNULL) as pooler:
        url = f"postgresql://{direct['user']}:{direct['password']}@127.0.0.1:{port}/{direct['dbname']}"
        deadline = time.monotonic() + 10
        while True:
            try:
                psycopg.connect(url).close()
                break
            except psycopg.OperationalError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        monkeypatch.setenv("STOCKTAKE_WAREHOUSE_URL", url)
        settings.cache_clear()
        yield nights
        pooler.terminate()
    settings.cache_clear()
    shutil.rmtree(folder)


def test_nights_run_through_a_pooler(pooled: Nights) -> None:
    pooled.run()
    pooled.shop.execute("update orders set channel = 'store', updated_at = now() where order_id = 7")
    pooled.run()
    assert pooled.ask("select channel from reporting.orders where order_id = 7") == [("store",)]
    assert pooled.ask("select distinct verdict from reporting.data_status where rows is not null") == [("ok",)]
    with held("publish") as taken:
        taken.must_hold()
