"""What a bench found, as tables for people (Markdown) and as data (JSON)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from tests.bench import plain_sql, readers, rivals
from tests.bench.stages import Line, Night, total

MEGABYTE: Final = 1024 * 1024
HISTORY: Final = Path(__file__).with_name(
    "history.json"
)  # what was recorded, oldest first: a slower night is seen there


@dataclass(frozen=True)
class Ratio:
    """How one thing compares with another, and what the design asks for.

    Attributes:
        name: which by which.
        found: the quotient, or the number; None when a part of it could not be measured.
        target: as the design says it; empty where it says nothing.
        met: whether it is; None where nothing is asked or known.
    """

    name: str
    found: float | None
    target: str = ""
    met: bool | None = None


@dataclass(frozen=True)
class Found:
    """Everything that one run of the bench found.

    Attributes:
        about: what was measured, on what.
        full: the night that read, built and published everything.
        features: the features after it.
        incremental: the night after one day of trade.
        next_features: the features after that one.
        idle: a night in which nothing has changed.
        builds: every table on every engine.
        extraction: other ways to read the shop.
        loading: other ways to write the tables.
        sql: the main tables as SQL in Postgres.
        dlt_and_dbt: what dlt and dbt take instead of the full night.
        next_dlt_and_dbt: and after the day of trade.
        read: what a publication takes beside readers of the API.
        bucket: the full night with the lake in a bucket.
        next_bucket: the night after one day of trade with it.
        connections: the whole shop read, by how many connections read it.
    """

    about: Mapping[str, str]
    full: Night
    features: Night
    incremental: Night
    next_features: Night
    idle: Night
    builds: Mapping[str, Mapping[str, Line]]
    extraction: Mapping[str, Line]
    loading: Mapping[str, Line]
    sql: Mapping[str, Line]
    dlt_and_dbt: Sequence[Line]
    next_dlt_and_dbt: Sequence[Line]
    read: readers.Found
    bucket: Night
    next_bucket: Night
    connections: Mapping[int, Line]
    engines: Sequence[str] = field(default_factory=list)

    @property
    def ratios(self) -> list[Ratio]:
        """The design's targets, then what else is worth comparing."""
        extract, publish, full = self.full.of("extract"), self.full.of("publish"), self.full.seconds
        sql = _sum(line.seconds for line in self.sql.values())
        nights = (self.full, self.features, self.incremental, self.next_features, self.idle)
        peak = max(night.peak_bytes for night in nights) / MEGABYTE
        on_pandas = total(self.builds, "pandas", list(self.full.built)) if "pandas" in self.engines else None
        naive = _sum([self.extraction[rivals.READ_SQL].seconds, on_pandas, self.loading[rivals.TO_SQL].seconds])
        other, next_other = (
            _sum(line.seconds for line in lines) for lines in (self.dlt_and_dbt, self.next_dlt_and_dbt)
        )
        return [
            _at_most("full night / dlt and dbt", full, other, 0.33),
            _at_most("incremental night / dlt and dbt", self.incremental.seconds, next_other, 0.25),
            _at_most("extract / DuckDB's plain scan", extract, self.extraction[rivals.SCAN].seconds, 1.3),
            _at_most("publish / DuckDB's plain insert, bare tables", publish, self.loading[rivals.INSERT].seconds, 1.3),
            _at_most("full night / six of its tables as SQL in Postgres", full, sql, 1.0),
            _at_most("a night in which nothing changed / full night", self.idle.seconds, full, 0.06),
            _at_most("incremental night / full night", self.incremental.seconds, full, 0.1),
            Ratio("peak memory of any task of these nights, MB", peak, "≤ 800", peak <= 800),
            _at_least("read_sql + builds on pandas + to_sql / full night", naive, full, 5.0),
            _at_most(f"a publication beside {readers.READERS} readers / alone", self.read.slower, 1.0, 1.1),
            _plain("extract / the floor, COPY out", extract, self.extraction[rivals.FLOOR_OUT].seconds),
            _plain("publish / the floor, COPY in", publish, self.loading[rivals.FLOOR_IN].seconds),
            _plain("publish / plain insert, tables with keys", publish, self.loading[rivals.INSERT_KEYED].seconds),
            _plain(
                "incremental night / full night, with the features after each",
                self.incremental.seconds + self.next_features.seconds,
                full + self.features.seconds,
            ),
            _plain("full night, lake in a bucket / in a folder", self.bucket.seconds, full),
            _plain(
                "incremental night, lake in a bucket / in a folder",
                self.next_bucket.seconds,
                self.incremental.seconds,
            ),
            *(
                _plain(f"extract on {number} connections / on one", line.seconds, self.connections[1].seconds)
                for number, line in self.connections.items()
                if number > 1
            ),
            _plain("extract / dlt", extract, self.extraction[rivals.DLT].seconds),
            *(
                _plain(f"six tables on {engine} / as SQL in Postgres", total(self.builds, engine, plain_sql.NAMES), sql)
                for engine in self.engines
            ),
            *(
                Ratio(f"peak memory of any build on {engine}, MB", self._peak(engine) / MEGABYTE)
                for engine in self.engines
            ),
        ]

    def _peak(self, engine: str) -> int:
        return max(lines[engine].peak_bytes or 0 for lines in self.builds.values())

    def markdown(self) -> str:
        """All of it as a page."""
        return "\n".join(
            [
                "# The bench",
                "",
                *(f"- {name}: {value}" for name, value in self.about.items()),
                *_section("Against the design", _ratio_table(self.ratios)),
                *_section("A full night, stage by stage", _line_table([*self.full.lines, _sum_line(self.full)])),
                *_section("Its features", _line_table([*self.features.lines, _sum_line(self.features)])),
                *_section(
                    "A night after one day of trade",
                    _line_table([*self.incremental.lines, _sum_line(self.incremental)]),
                ),
                *_section("Its features", _line_table([*self.next_features.lines, _sum_line(self.next_features)])),
                *_section("A night in which nothing changed", _line_table([*self.idle.lines, _sum_line(self.idle)])),
                *_section("Every table on every engine", _engine_table(self.builds, self.engines)),
                *_section("Other ways to read the shop", _line_table(self.extraction.values())),
                *_section("Other ways to write the tables", _line_table(self.loading.values())),
                *_section("The main tables as SQL in Postgres", _line_table(self.sql.values())),
                *_section("dlt and dbt, instead of the full night", _line_table(self.dlt_and_dbt)),
                *_section("dlt and dbt, after one day of trade", _line_table(self.next_dlt_and_dbt)),
                *_section(
                    "A full night, the lake in a bucket", _line_table([*self.bucket.lines, _sum_line(self.bucket)])
                ),
                *_section(
                    "A night after one day of trade, the lake in a bucket",
                    _line_table([*self.next_bucket.lines, _sum_line(self.next_bucket)]),
                ),
                *_section("The whole shop on several connections", _line_table(self.connections.values())),
                *_section("Read beside a publication", _line_table(self.read.lines)),
                "",
                _NOTES,
            ]
        )

    def json(self) -> str:
        """The same as data."""
        return json.dumps(
            {
                "about": dict(self.about),
                "ratios": [asdict(ratio) for ratio in self.ratios],
                "full": [asdict(line) for line in self.full.lines],
                "features": [asdict(line) for line in self.features.lines],
                "incremental": [asdict(line) for line in self.incremental.lines],
                "next_features": [asdict(line) for line in self.next_features.lines],
                "idle": [asdict(line) for line in self.idle.lines],
                "dlt_and_dbt": [asdict(line) for line in self.dlt_and_dbt],
                "next_dlt_and_dbt": [asdict(line) for line in self.next_dlt_and_dbt],
                "bucket": [asdict(line) for line in self.bucket.lines],
                "next_bucket": [asdict(line) for line in self.next_bucket.lines],
                "read": [asdict(line) for line in self.read.lines],
                "connections": [asdict(line) for line in self.connections.values()],
                "builds": {
                    table: {engine: asdict(line) for engine, line in lines.items()}
                    for table, lines in self.builds.items()
                },
                **{
                    name: [asdict(line) for line in lines.values()]
                    for name, lines in (("extraction", self.extraction), ("loading", self.loading), ("sql", self.sql))
                },
            },
            indent=1,
        )

    def write(self, folder: Path, name: str) -> Path:
        """Write both; gives the page."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(self.json() + "\n")
        page = folder / f"{name}.md"
        page.write_text(self.markdown() + "\n")
        return page

    def record(self, file: Path, commit: str) -> None:
        """Add what was found to a history, in place of what the same commit had at the same scale."""
        found = {
            "commit": commit,
            "about": dict(self.about),
            "seconds": {
                name: round(night.seconds, 1)
                for name, night in (("full", self.full), ("incremental", self.incremental), ("idle", self.idle))
            },
            "ratios": {one.name: one.found and round(one.found, 3) for one in self.ratios},
        }
        earlier = json.loads(file.read_text()) if file.exists() else []
        kept = [
            one for one in earlier if (one["commit"], one["about"].get("scale")) != (commit, self.about.get("scale"))
        ]
        file.write_text(json.dumps([*kept, found], indent=1) + "\n")


_NOTES: Final = """\
Every line was measured in a process of its own, one after the other. Seconds are of the work alone: the start of
Python and the imports that a worker of Airflow inherits are not in them, nor is Airflow itself. Peak memory is that of
the process and all below it, imports included; what the Postgres server holds is nowhere in it. A night is the sum of
its stages; Airflow runs some of them side by side. What has no seconds failed, or made other rows."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table that reads well as it is: the first column to the left, numbers to the right."""
    cells = [list(head), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    left = {0, len(head) - 1} if head[-1] in ("note", "target") else {0}

    def line(row: Sequence[str]) -> str:
        shown = (
            text.ljust(width) if number in left else text.rjust(width)
            for number, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        return f"| {' | '.join(shown)} |"

    rule = "|".join(
        "-" * (width + 2) if number in left else "-" * (width + 1) + ":" for number, width in enumerate(widths)
    )
    return [line(cells[0]), f"|{rule}|", *(line(row) for row in cells[1:])]


def cells(line: Line) -> list[str]:
    """A line of the bench as text: work, seconds, rows, rows per second, MB, note."""
    pace = f"{line.rows / line.seconds:,.0f}" if line.seconds else "–"
    return [line.work, _seconds(line), f"{line.rows:,}", pace, _megabytes(line), line.note]


def _section(title: str, lines: Iterable[str]) -> list[str]:
    return ["", f"## {title}", "", *lines]


def _line_table(lines: Iterable[Line]) -> list[str]:
    return table(["work", "seconds", "rows", "rows/s", "peak MB", "note"], (cells(line) for line in lines))


def _engine_table(builds: Mapping[str, Mapping[str, Line]], engines: Sequence[str]) -> list[str]:
    head = ["table", "rows", *(f"{engine} {unit}" for engine in engines for unit in ("s", "rows/s", "MB"))]
    body = []
    for name, lines in builds.items():
        row = [name, f"{max(line.rows for line in lines.values()):,}"]
        for engine in engines:
            shown = cells(lines[engine])
            row += [shown[1] if not lines[engine].note else lines[engine].note[:40], shown[3], shown[4]]
        body.append(row)
    return table(head, body)


def _ratio_table(ratios: Iterable[Ratio]) -> list[str]:
    verdict = {True: "yes", False: "NO", None: ""}
    return table(
        ["which", "found", "met", "target"],
        ([one.name, _number(one.found), verdict[one.met], one.target] for one in ratios),
    )


def _sum_line(night: Night) -> Line:
    read = sum(line.rows for line in night.lines if line.work == "extract")
    built = sum(night.built.values())
    return Line("all of these", night.seconds, read or built, night.peak_bytes, f"rows: {'read' if read else 'built'}")


def _seconds(line: Line) -> str:
    return "–" if line.seconds is None else f"{line.seconds:,.2f}"


def _megabytes(line: Line) -> str:
    return "–" if line.peak_bytes is None else f"{line.peak_bytes / MEGABYTE:,.0f}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.2f}"


def _sum(values: Iterable[float | None]) -> float | None:
    """The sum; None when a part of it is unknown."""
    known = list(values)
    return None if None in known else sum(value for value in known if value is not None)


def _quotient(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None


def _plain(name: str, one: float | None, other: float | None) -> Ratio:
    return Ratio(name, _quotient(one, other))


def _at_most(name: str, one: float | None, other: float | None, most: float) -> Ratio:
    found = _quotient(one, other)
    return Ratio(name, found, f"≤ {most:g}", None if found is None else found <= most)


def _at_least(name: str, one: float | None, other: float | None, least: float) -> Ratio:
    found = _quotient(one, other)
    return Ratio(name, found, f"≥ {least:g}", None if found is None else found >= least)
