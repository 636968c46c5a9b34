"""The .sql files of a shop's folder as statements: with the window bound, and in the lake's types.

Belongs here: the text of statements. Does not: running them (``snapshot``), or whether they fit (``statements``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from psycopg import sql

from include.contract import Source, Type
from include.contract.statement import has_statement, is_left_out
from include.contract.types import hexadecimal
from include.extract.reading import AS_GIVEN, Reading
from include.extract.select_list import blanked, with_first
from include.settings import ROOT, settings

EVERYTHING: Final = "-infinity"  # the window of a full read
PLACE: Final = "place_in_table"  # the column that a statement gets whose ranges are of a table's blocks
WINDOW: Final = re.compile(r"(?<!:):changed_since\b")  # not a cast to a type of that name


@dataclass(frozen=True)
class Range:
    """Some of a statement's rows; which, its ranges together say of every row exactly once (``ranges``).

    Attributes:
        where: the predicate for them.
        place: what the statement gives as ``PLACE``, so that the predicate can name it; empty where it need not.
    """

    where: str
    place: str = ""

    def of(self, statement: str) -> str:
        """The statement for these rows alone."""
        if self.place:
            statement = with_first(statement, f"{self.place} as {PLACE}")
        return f"select * from ({statement}) as whole where {self.where}\n"


def file_of(source: str) -> Path:
    """The file that reads a source."""
    return settings().sources / f"{source}.sql"


def shown(file: Path) -> str:
    """A file as messages name it: from the project's folder where it lies there."""
    return str(file.relative_to(ROOT) if file.is_relative_to(ROOT) else file)


def is_absent(source: Source) -> bool:
    """Whether the shop has no file for a source, or an optional one's is not filled in; then it has no rows."""
    file = file_of(source.name)
    return is_left_out(source, file.read_text() if file.exists() else None)


def is_empty(source: str) -> bool:
    """Whether a source has no file, or one with nothing but comments."""
    return not (file_of(source).exists() and has_statement(file_of(source).read_text()))


def takes_changes(source: Source) -> bool:
    """Whether a source's statement can read changed rows alone; one without ``:changed_since`` reads all of them."""
    return is_absent(source) or bool(WINDOW.search(blanked(file_of(source.name).read_text())))


def shop_sql(source: Source, changed_since: str) -> str:
    """The shop's statement for a source, with the window bound; of an absent source, one that gives no rows."""
    if is_absent(source):
        columns = ", ".join(f"null::{column.postgres} as {column.name}" for column in source.columns)
        return f"select {columns} where false\n"
    return bound(file_of(source.name).read_text(), changed_since)


def bound(text: str, changed_since: str) -> str:
    """The statement of a file's text, with the window bound."""
    bare = blanked(text).rstrip()
    if bare.endswith(";"):
        text = text[: len(bare.rstrip(";"))]
    # DuckDB reads through COPY, which takes no parameters: the value is bound here, as a quoted literal.
    return WINDOW.sub(instant(changed_since), text.strip()) + "\n"  # it may end in a comment


def statements(sources: Iterable[Source]) -> dict[str, str]:
    """The shop's statement of every source, by name, for all rows."""
    return {source.name: shop_sql(source, EVERYTHING) for source in sources}


def instant(text: str) -> str:
    """An instant as a Postgres literal."""
    return f"{sql.Literal(text).as_string(None)}::timestamptz"


def read_sql(source: Source, changed_since: str, reading: Reading = AS_GIVEN, within: Range | None = None) -> str:
    """The shop's statement, its columns cast to what the lake's types are made from; of a range, if there is one."""
    statement, columns = shop_sql(source, changed_since), reading.columns_sql()
    if within:
        statement = within.of(statement)
    return f"select {columns} from ({statement}) as shop\n" if columns else statement


def typed_sql(
    source: Source,
    changed_since: str,
    *,
    any_bytes: bool = False,
    reading: Reading = AS_GIVEN,
    within: Range | None = None,
) -> str:
    """The Postgres statement that reads a source in the lake's types.

    Rows with the same key as a changed row are read too: if a key exists twice, the gate must see both rows. A value
    that the lake cannot hold (NaN, an infinite instant, a fraction of a cent that nobody rounds) becomes null, and its
    text is added to ``_unreadable``; of a text that is no UTF-8, its bytes.

    Args:
        source: the source.
        changed_since: an ISO instant, or ``EVERYTHING``.
        any_bytes: whether the shop's texts may hold any bytes: its database is in SQL_ASCII.
        reading: how the statement's columns are read.
        within: a range of all rows; by default all of them.
    """
    values, complaints, all_readable = [], [], []
    for column in source.columns:
        name = f"source.{column.name}"
        fractional = column.name in reading.fractional
        readable = column.type.readable_sql(
            name, any_bytes=any_bytes, fractional=fractional, rounding=column.rounding, decimals=column.places
        )
        value = column.type.from_source_sql(name, column.rounding, column.places)
        if readable == "true":
            values.append(f"{value} as {column.lake_name}")
        else:
            values.append(f"case when {readable} then {value} end as {column.lake_name}")
            text = hexadecimal(name) if any_bytes and column.type in (Type.TEXT, Type.JSON) else f"{name}::text"
            complaints.append(f"case when not {readable} then '{column.name} = ' || {text} end")
            all_readable.append(readable)
    unreadable = (
        f"case when not ({' and '.join(all_readable)}) then concat_ws(', ', {', '.join(complaints)}) end"
        if complaints
        else "null::text"
    )
    columns = ", ".join([*values, f"{unreadable} as _unreadable"])
    everything, changed = (read_sql(source, since, reading, within) for since in (EVERYTHING, changed_since))
    if changed_since == EVERYTHING:
        return f"select {columns} from ({everything}) as source"
    key = ", ".join(source.primary_key)
    return f"""
        select {columns}
        from ({changed}) as source
        union all
        select {columns}
        from ({everything}) as source
        where {source.watermark} < {instant(changed_since)}
            and ({key}) in (select {key} from ({changed}) as changed)
    """
