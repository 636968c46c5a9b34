"""The Dask cluster that a night's tasks share: a scheduler and a worker per core, on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transforms.engines.server_process import Serving


@contextmanager
def serve(arguments: Mapping[str, Any], scratch: Path) -> Iterator[Serving]:
    """Run it in this block.

    Args:
        arguments: ``memory_limit`` of a worker, in bytes; it spills before it has that much.
        scratch: where its workers spill to.
    """
    import dask
    from dask.system import CPU_COUNT
    from distributed import LocalCluster, Security

    # Another user of this machine may reach the port, and must not run code as we do.
    security = Security.temporary()
    # The partitions hold Arrow-backed strings; Dask's own conversion would change their type.
    with (
        dask.config.set({"dataframe.convert-string": False}),
        LocalCluster(
            n_workers=CPU_COUNT, threads_per_worker=1, dashboard_address=None, local_directory=str(scratch),
            memory_limit=arguments["memory_limit"], security=security,
        ) as cluster,
    ):  # fmt: skip
        keys = ("tls_ca_file", "tls_client_key", "tls_client_cert")
        yield (
            {"scheduler": cluster.scheduler_address, "security": {key: getattr(security, key) for key in keys}},
            lambda: None,
        )
