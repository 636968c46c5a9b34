"""PgBouncer before a database, in transaction mode: every transaction may have another session of the server."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tests.ports import free_port

BOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


@contextmanager
def pooler(url: str, sessions: int) -> Iterator[str]:
    """Run one; gives the URL of the same database behind it, which opens as many sessions at the most."""
    direct = conninfo_to_dict(url)
    port = free_port()
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
default_pool_size = {sessions}
server_reset_query =
"""
    )
    for file in folder.iterdir():
        file.chmod(0o644)
    folder.chmod(0o755)
    command = [str(BOUNCER), str(folder / "pooler.ini")]
    as_nobody = ["-u", "nobody"] if os.geteuid() == 0 else []
    with subprocess.Popen([command[0], *as_nobody, command[1]], stderr=subprocess.DEVNULL) as process:
        pooled = f"postgresql://{direct['user']}:{direct['password']}@127.0.0.1:{port}/{direct['dbname']}"
        deadline = time.monotonic() + 10
        while True:
            try:
                psycopg.connect(pooled).close()
                break
            except psycopg.OperationalError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield pooled
        process.terminate()
    shutil.rmtree(folder)
