"""What is answered, as OpenAPI describes it."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, Field


class ColumnEntry(BaseModel):
    """A column of a published table."""

    name: str
    type: str = Field(description="Its type in Postgres.")
    unit: str | None = Field(default=None, description="What it is counted in, where that is not in its meaning.")
    meaning: str
    nullable: bool = Field(description="Whether null has a meaning, which the column's says.")
    key_of: str | None = Field(default=None, description="The source whose key it holds.")


class PublishedTable(BaseModel):
    """A table of the dictionary."""

    name: str
    grain: str
    meaning: str
    key: list[str]
    columns: list[ColumnEntry]
    made_from: list[str] = Field(description="Its lineage: the tables and sources that it is made from.")
    last_day: date | None = Field(default=None, description="The last whole business day that it covers.")
    rows: int | None = Field(default=None, description="Of the table; of a table of slices, of its latest slice.")
    publication_id: int | None = None
    published_at: datetime | None = None
    verdict: str = Field(description="ok, or what is to be known before it is used.")


class TableList(BaseModel):
    """The dictionary."""

    tables: list[PublishedTable]


class LineageNode(BaseModel):
    """A table of the lineage."""

    name: str = Field(description="As shop.public.orders, source.orders, reporting.orders.")
    kind: str = Field(description="shop, source, reporting or features.")


class Lineage(BaseModel):
    """What is made from what."""

    nodes: list[LineageNode]
    edges: list[tuple[str, str]] = Field(description="Pairs of names: rows flow from the first to the second.")


class RowsPage(BaseModel):
    """Rows of a table: amounts and days are texts, so that no reader rounds them."""

    table: str
    publication_id: int
    rows: list[dict[str, Any]]
    next: str | None = Field(description="The cursor of the next page; null on the last.")


class MetricParameter(BaseModel):
    """What may be asked of a figure."""

    name: str
    meaning: str


class MetricEntry(BaseModel):
    """A figure of the dashboard."""

    name: str
    meaning: str
    unit: str
    grain: str = Field(description="What a row is of, and how rows are ordered.")
    tables: list[str] = Field(description="What it is computed from.")
    parameters: list[MetricParameter]
    columns: list[ColumnEntry]
    roles: list[str] = Field(description="Who may read it.")
    published: bool = Field(description="Whether what it is computed from is published.")


class MetricList(BaseModel):
    """The figures."""

    metrics: list[MetricEntry]


class MetricAnswer(BaseModel):
    """A figure: amounts and days are texts, so that no reader rounds them."""

    name: str
    meaning: str
    unit: str
    grain: str
    columns: list[ColumnEntry]
    publications: dict[str, int] = Field(description="By table, the publication that it is of.")
    parameters: dict[str, str | int | None] = Field(description="As they were used.")
    sql: str = Field(description="What gives these rows, to be run by an analyst.")
    rows: list[dict[str, Any]]


class TableStatus(BaseModel):
    """How far a table goes, and whether to trust it."""

    table: str
    last_day: date | None
    rows: int | None
    published_at: datetime | None
    publication_id: int | None
    complete: bool | None
    quarantined_rows: int
    quarantined_amounts: dict[str, Decimal]
    verdict: str


class Status(BaseModel):
    """Every table's status, those that need attention first."""

    tables: list[TableStatus]


class RunSummary(BaseModel):
    """A run with its verdict."""

    run_id: str
    dag: str
    kind: str
    night: date
    state: str
    mood: str = Field(description="good, attention, bad or waiting: how urgently a person should look.")
    word: str
    verdict: str
    started_at: datetime
    finished_at: datetime | None
    publication_id: int | None
    published_at: datetime | None
    horizon: date | None
    held: int | None = Field(description="Rows of its copy in quarantine.")


class RunList(BaseModel):
    """The latest runs, the newest first."""

    runs: list[RunSummary]


class SourceCounts(BaseModel):
    """What happened to the rows of a source."""

    source: str
    extracted: int
    accepted: int | None
    quarantined: int | None
    complete: bool | None


class Stage(BaseModel):
    """How long a stage took."""

    stage: str
    started_at: datetime
    seconds: float


class RunDetail(RunSummary):
    """A run, with what it read and how long that took."""

    reasons: list[str]
    sources: list[SourceCounts]
    stages: list[Stage]
    tables: list[dict[str, Any]]


class HeldRow(BaseModel):
    """A row in quarantine. It holds what the shop holds, personal data too."""

    quarantine_id: int
    source: str
    row_key: str
    rules: list[str]
    row_values: dict[str, Any]
    amount: Decimal | None
    currency: str | None
    quarantined_by: str
    quarantined_at: datetime


class Quarantine(BaseModel):
    """Rows in quarantine."""

    rows: list[HeldRow]
    next: int | None = Field(description="`after` of the next page; null on the last.")
