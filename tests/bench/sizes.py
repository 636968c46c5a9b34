"""The same nights of shops of several sizes: how their time, and the memory of their tasks, grows with the rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.place import LAST_DAY, NEXT_DAY, Place
from tests.bench.report import MEGABYTE, table
from tests.bench.stages import Line, Night, Say, features, night


@dataclass(frozen=True)
class Size:
    """The nights of a shop of some size.

    Attributes:
        scale: of the shop; 1 is the bench's full size.
        first: the night that read, built and published everything.
        features: the features after it.
        second: the night after one day of trade.
        next_features: the features after that one.
    """

    scale: float
    first: Night
    features: Night
    second: Night
    next_features: Night

    @property
    def nights(self) -> tuple[Night, ...]:
        """All four."""
        return (self.first, self.features, self.second, self.next_features)

    @property
    def rows(self) -> int:
        """How many rows the shop has."""
        return next(line.rows for line in self.first.lines if line.work == "extract")

    def largest(self, stage: str) -> Line:
        """The line of a stage that held the most memory, in whichever night."""
        lines = [line for one in self.nights for line in one.lines if line.work.split()[0] == stage]
        return max(lines, key=lambda line: line.peak_bytes or 0)


def measured(place: Place, scale: float, engine: str, say: Say) -> Size:
    """Run two nights of a shop of a size, each with its features.

    Raises:
        JobFailed: when a stage does.
    """
    with place.open():
        first, made = night(place, "full", LAST_DAY, engine, say), features(place, "features", engine, say)
        place.trade()
        second = night(place, "incremental", NEXT_DAY, engine, say)
        return Size(scale, first, made, second, features(place, "next features", engine, say))


def write(about: Mapping[str, str], found: Sequence[Size], folder: Path) -> Path:
    """Write what was found as a page, and as JSON beside it; gives the page."""
    folder.mkdir(parents=True, exist_ok=True)
    nights = {f"{one.scale:g}": {of.run_id: [asdict(line) for line in of.lines] for of in one.nights} for one in found}
    (folder / "sizes.json").write_text(json.dumps({"about": dict(about), "nights": nights}, indent=1) + "\n")
    page = folder / "sizes.md"
    page.write_text(markdown(about, found) + "\n")
    return page


def markdown(about: Mapping[str, str], found: Sequence[Size]) -> str:
    """The page."""
    seconds = (
        ("first night", [one.first.seconds for one in found]),
        ("its features", [one.features.seconds for one in found]),
        ("the night after", [one.second.seconds for one in found]),
        ("the features after that", [one.next_features.seconds for one in found]),
    )
    stages = list(dict.fromkeys(line.work.split()[0] for one in found for of in one.nights for line in of.lines))
    return "\n".join(
        [
            "# Shops of several sizes",
            "",
            *(f"- {name}: {value}" for name, value in about.items()),
            "",
            *table(
                ["seconds", *(f"{one.rows:,} rows" for one in found)],
                ([name, *(f"{value:,.1f}" for value in values)] for name, values in seconds),
            ),
            "",
            "The most memory of a task, in MB, with what it did:",
            "",
            *table(
                ["peak MB", *(f"{one.rows:,} rows" for one in found)],
                ([stage, *(_largest(one, stage) for one in found)] for stage in stages),
            ),
        ]
    )


def _largest(size: Size, stage: str) -> str:
    line = size.largest(stage)
    of = " ".join(line.work.split()[1:])
    return f"{(line.peak_bytes or 0) / MEGABYTE:,.0f}{f' ({of})' if of else ''}"
