"""What is answered, as OpenAPI describes it."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from include.serve.api.export_formats import ExportFormat
from include.serve.api.query import MOST_FILTERS

_Text = Annotated[str, Field(max_length=10_000)]


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


class ExportRequest(BaseModel):
    """Which rows are wanted as a file, in the words of the rows of a table."""

    model_config = ConfigDict(extra="forbid")

    table: _Text = Field(description="As reporting.daily_sales.")
    columns: _Text | None = Field(default=None, description="Names, separated by commas; all, unless given.")
    filter: list[_Text] = Field(
        default=[], max_length=MOST_FILTERS, description="Conditions, as day>=2026-11-01; all of them hold."
    )
    sort: _Text | None = Field(
        default=None, description="Names, separated by commas; a descending one with a minus before it. Else the key."
    )
    format: ExportFormat = Field(
        description="csv is written as the rows are, a text that a spreadsheet would take for a formula with an "
        "apostrophe before it; parquet and arrow (an IPC file) have decimals, days and instants as such."
    )
    bom: bool = Field(default=False, description="csv alone: begin with a byte order mark, by which Excel knows UTF-8.")


class ExportEntry(BaseModel):
    """An export, and how far it is."""

    id: UUID
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    table: str
    columns: str | None
    filter: list[str]
    sort: str | None
    format: ExportFormat
    bom: bool
    asked_by: str
    asked_at: datetime
    asked_of_publication: int = Field(description="What was published when it was asked for.")
    publication_id: int | None = Field(description="The publication that its rows are of: the one when it was written.")
    rows_done: int
    rows_to_do: int | None = Field(description="Null until they are counted.")
    bytes: int | None
    file: str | None = Field(description="Where its file is, once it is done.")
    expires_at: datetime | None = Field(description="Until when the file is kept.")
    error: str | None = Field(description="Why it failed, or its last try.")
    note: str | None = Field(description="What is to be known of it.")


class ExportList(BaseModel):
    """One's own exports that have not expired, the newest first."""

    exports: list[ExportEntry]
