"""Datasets of OpenLineage: what they are called, and the facets that the contracts and the ledger fill."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg
from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    column_lineage_dataset,
    data_quality_assertions_dataset,
    data_quality_metrics_input_dataset,
    dataset_version_dataset,
    documentation_dataset,
    output_statistics_output_dataset,
    schema_dataset,
)
from openlineage.client.naming.dataset import DatasetNaming, LocalFileSystem, Postgres
from pydantic import SecretStr

from include.contract import Column, Table
from include.lake import tables as lake
from include.settings import settings

# Per column of an output, the columns that it is made of: of which dataset, and which.
Origins = Mapping[str, Sequence[tuple[DatasetNaming, str]]]


def in_shop(relation: str) -> DatasetNaming:
    """A table of the shop: ``public.orders``."""
    schema, _, table = relation.rpartition(".")
    return _in_postgres(settings().shop_url, schema or "public", table)


def in_lake(layer: str, name: str) -> DatasetNaming:
    """A table of the lake."""
    return in_folder(lake.folder(layer, name))


def in_folder(path: str) -> DatasetNaming:
    """A file, or a folder of files; in a bucket by its URL."""
    scheme, found, rest = path.partition("://")
    if not found:
        return LocalFileSystem(path)
    bucket, _, key = rest.partition("/")
    return _InBucket(f"{scheme}://{bucket}", key)


@dataclass(frozen=True)
class _InBucket(DatasetNaming):
    """A file in an object store, as OpenLineage names it: the bucket's URL, and the key."""

    bucket: str
    key: str

    def get_namespace(self) -> str:
        """The bucket's URL."""
        return self.bucket

    def get_name(self) -> str:
        """The key."""
        return self.key


def in_warehouse(schema: str, table: str) -> DatasetNaming:
    """A table of the warehouse."""
    return _in_postgres(settings().warehouse_url, schema, table)


def _in_postgres(url: SecretStr, schema: str, table: str) -> DatasetNaming:
    host, port, database = _place(url.get_secret_value())
    return Postgres(host, port, database, schema, table)


@cache
def _place(url: str) -> tuple[str, str, str]:
    """Host, port and database of a URL, and nothing else of it; of several servers, the first."""
    found = psycopg.conninfo.conninfo_to_dict(url)
    host = str(found.get("host") or "").partition(",")[0]
    if not host or host.startswith(("/", "@")):  # a socket of this machine
        host = "localhost"
    port = str(found.get("port") or "").partition(",")[0]
    return host, port or "5432", str(found.get("dbname") or found.get("user") or "postgres")


def read(
    dataset: DatasetNaming,
    version: int | None = None,
    rules: Iterable[Mapping[str, Any]] = (),
    table: Table | None = None,
) -> InputDataset:
    """A dataset that a task read.

    Args:
        dataset: which.
        version: of it, in the lake.
        rules: what was checked of it, as the ledger has it (``expectations.outcomes_of``).
        table: what it is, where rules were checked.
    """
    checked = list(rules)
    facets: dict[str, Any] = {}
    if checked and table:
        facets["dataQualityAssertions"] = data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(
            [_assertion(rule, table) for rule in checked]
        )
        facets["dataQualityMetrics"] = data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet(
            rowCount=max(rule["evaluated"] for rule in checked), columnMetrics={}
        )
    return InputDataset(dataset.get_namespace(), dataset.get_name(), facets=_version(version), inputFacets=facets)


def written(
    dataset: DatasetNaming,
    columns: Sequence[tuple[str, str, str]],
    rows: int | None,
    origins: Origins,
    doc: str = "",
    version: int | None = None,
) -> OutputDataset:
    """A dataset that a task wrote.

    Args:
        dataset: which.
        columns: name, type and meaning of each.
        rows: how many were written, if that is known.
        origins: what its columns are made of, as far as it is declared.
        doc: what it is.
        version: of it, in the lake.
    """
    facets: dict[str, Any] = _version(version)
    facets["schema"] = schema_dataset.SchemaDatasetFacet(
        [
            schema_dataset.SchemaDatasetFacetFields(name, kind, meaning, place)
            for place, (name, kind, meaning) in enumerate(columns, 1)
        ]
    )
    if doc:
        facets["documentation"] = documentation_dataset.DocumentationDatasetFacet(doc)
    if known := {name: origins[name] for name, *_ in columns if origins.get(name)}:
        facets["columnLineage"] = column_lineage_dataset.ColumnLineageDatasetFacet(
            {
                name: column_lineage_dataset.Fields(
                    [
                        column_lineage_dataset.InputField(one.get_namespace(), one.get_name(), column)
                        for one, column in found
                    ]
                )
                for name, found in known.items()
            }
        )
    statistics: dict[str, Any] = {}
    if rows is not None:
        told = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=rows)
        statistics["outputStatistics"] = told
    return OutputDataset(dataset.get_namespace(), dataset.get_name(), facets=facets, outputFacets=statistics)


def lake_schema(columns: Iterable[Column]) -> list[tuple[str, str, str]]:
    """Columns as the lake has them."""
    return [(column.lake_name, column.type.duckdb, column.doc) for column in columns]


def warehouse_schema(columns: Iterable[Column]) -> list[tuple[str, str, str]]:
    """Columns as the warehouse has them."""
    return [(column.name, column.postgres, column.doc) for column in columns]


def _version(version: int | None) -> dict[str, Any]:
    if version is None:
        return {}
    return {"version": dataset_version_dataset.DatasetVersionDatasetFacet(str(version))}


def _assertion(rule: Mapping[str, Any], table: Table) -> data_quality_assertions_dataset.Assertion:
    """What came of a rule. Its examples are keys of rows: they stay in the ledger."""
    declared = next((one for one in table.all_rules if one.name == rule["rule"]), None)
    columns = sorted(declared.reads) if declared else []
    return data_quality_assertions_dataset.Assertion(
        assertion=rule["rule"],
        success=not rule["broken"],
        column=columns[0] if len(columns) == 1 else None,
        severity="warn" if rule["severity"] == "warn" else "error",
        description=rule["meaning"],
        expected="0 rows",
        actual=f"{rule['broken']} rows",
    )
