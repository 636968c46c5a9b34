"""dlt's way to copy the shop's tables to Parquet; runs in dlt's own environment: URL, TABLES, FOLDER, RESULT."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import dlt
from dlt.destinations import filesystem
from dlt.sources.sql_database import sql_database


def main(tables: str, folder: str, result: str) -> None:
    """Copy the tables and write what it took; the database's URL is in the environment."""
    started = time.perf_counter()
    source = sql_database(os.environ["BENCH_URL"], table_names=tables.split(","), backend="pyarrow", chunk_size=100_000)
    pipeline = dlt.pipeline(
        "bench", pipelines_dir=f"{folder}/state", destination=filesystem(bucket_url=f"{folder}/copy"),
        dataset_name="shop",
    )  # fmt: skip
    pipeline.run(source, loader_file_format="parquet", write_disposition="replace")
    seconds = time.perf_counter() - started
    counts = pipeline.last_trace.last_normalize_info.row_counts
    rows = sum(count for table, count in counts.items() if not table.startswith("_dlt"))
    Path(result).write_text(json.dumps({"seconds": seconds, "rows": rows}))


if __name__ == "__main__":
    main(*sys.argv[1:])
