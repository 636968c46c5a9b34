"""dlt's way to copy the shop's tables, to Parquet or into Postgres; runs in an environment of its own.

The databases' URLs are in the environment: BENCH_URL is the shop's. Where BENCH_WAREHOUSE is, rows are appended there
at first, and later what has changed is merged, by the column ``updated_at``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import dlt
from dlt.destinations import filesystem, postgres
from dlt.sources.sql_database import sql_database


def main(tables: str, dataset: str, folder: str, result: str) -> None:
    """Copy the tables (JSON: the key's columns by name) as a dataset, and write what it took."""
    keys, warehouse = json.loads(tables), os.environ.get("BENCH_WAREHOUSE")
    began = Path(folder, "state").exists()
    started = time.perf_counter()
    level = "full_with_precision" if warehouse else "full"
    source = sql_database(
        os.environ["BENCH_URL"], table_names=list(keys), backend="pyarrow", chunk_size=100_000, reflection_level=level
    )
    for name, resource in source.resources.items() if warehouse else ():
        resource.apply_hints(primary_key=keys[name], incremental=dlt.sources.incremental("updated_at"))
    pipeline = dlt.pipeline(
        "bench", pipelines_dir=f"{folder}/state", dataset_name=dataset,
        destination=postgres(warehouse) if warehouse else filesystem(bucket_url=f"{folder}/copy"),
    )  # fmt: skip
    disposition = "replace" if not warehouse else "merge" if began else "append"
    pipeline.run(source, loader_file_format="csv" if warehouse else "parquet", write_disposition=disposition)
    seconds = time.perf_counter() - started
    counts = pipeline.last_trace.last_normalize_info.row_counts
    rows = sum(count for table, count in counts.items() if not table.startswith("_dlt"))
    Path(result).write_text(json.dumps({"seconds": seconds, "rows": rows}))


if __name__ == "__main__":
    main(*sys.argv[1:])
