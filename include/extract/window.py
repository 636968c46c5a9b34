"""How a shop's statements compare their rows with ``:changed_since``: a column without a time zone begins elsewhere.

Nothing is missed for it, the proof of completeness finds what a window left out; but then it is read twice. Belongs
here: what ``make map`` says of the window. Does not: how it is bound (``sql_files``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Final

import psycopg
from psycopg.pq import ExecStatus

from include.contract import Source
from include.extract.refusals import Finding
from include.extract.select_list import Item, blanked, items
from include.extract.sql_files import WINDOW, file_of, is_absent, shown
from include.settings import settings

# The types of Postgres that say no instant, by their number in its catalogue, and what to compare them with.
_WITHOUT_ZONE: Final = {
    1114: ("a timestamp without time zone", ":changed_since at time zone '{zone}'"),
    1082: ("a date", "(:changed_since at time zone '{zone}')::date"),
}
_NOW: Final = re.compile(
    r"(now|clock_timestamp|statement_timestamp|transaction_timestamp)\(\)|current_timestamp|localtimestamp", re.I
)


def to_think_about(shop: psycopg.Connection, sources: Mapping[str, Source]) -> Iterator[Finding]:
    """What a night reads all the same, and takes more rows for changed, or fewer, than were.

    Args:
        shop: a connection of ``statements.shop_connection``.
        sources: the shop's sources.
    """
    for name, source in sources.items():
        if is_absent(source) or not file_of(name).exists():
            continue
        text = file_of(name).read_text()
        yield from _without_zone(shop, name, text)
        written = next((one for one in items(text)[1] if one.name.lower() == source.watermark), None)
        if written and _NOW.fullmatch(written.expression):
            yield _always_changed(name, written)


def _without_zone(shop: psycopg.Connection, name: str, text: str) -> Iterator[Finding]:
    """The comparisons with the window in which Postgres takes it for something without a time zone."""
    places = list(WINDOW.finditer(blanked(text)))
    for place, oid in zip(places, _types_meant(shop, text, places), strict=False):
        if oid in _WITHOUT_ZONE:
            kind, write = _WITHOUT_ZONE[oid]
            line = text.count("\n", 0, place.start()) + 1
            what = f":changed_since is compared with {kind}: the window begins some hours too early or too late"
            zone = settings().timezone
            yield Finding(
                shown(file_of(name)),
                line,
                what,
                f"write `{write.format(zone=zone)}` (the zone in which the shop writes it)",
                stops=False,
            )


def _types_meant(shop: psycopg.Connection, text: str, places: list[re.Match[str]]) -> list[int]:
    """The type that Postgres would give a parameter in each of these places; none where it takes no statement so."""
    if not places:
        return []
    numbers, parts, end = count(1), list[str](), 0
    for place in places:
        parts += [text[end : place.start()], f"${next(numbers)}"]
        end = place.end()
    statement = "".join(parts) + text[end:]
    with shop.transaction(force_rollback=True):  # which a statement that Postgres refuses needs
        if shop.pgconn.prepare(b"", statement.encode()).status != ExecStatus.COMMAND_OK:
            return []
        found = shop.pgconn.describe_prepared(b"")
        return [found.param_type(number) for number in range(found.nparams)]


def _always_changed(name: str, written: Item) -> Finding:
    what = f"{written.name} is the time of reading: every row is new in every night, and is checked and written again"
    write = (
        "write when the row last changed; where nobody knows, a constant such as `timestamptz '2000-01-01'`: what"
        " changed is found by comparing"
    )
    return Finding(shown(file_of(name)), written.line, what, write, stops=False)
