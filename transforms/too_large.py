"""What is said of a build that meets a number of more than 64 bits: the column, the row, and what it was made of.

The gate bounds every value of the shop; what many of them come to, or one times another, may be too large all the
same. No engine says more than that something overflowed. So the table is made once more on DuckDB, with all amounts a
65,536th of what they are, then with all quantities so: what is made of them is a 65,536th too, and the first row that
would not fit is found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import narwhals as nw

from include.contract import Column, Table, Type
from include.contract.types import day_of
from transforms.engines import Engine, Frame, Resources
from transforms.engines.duckdb_engine import DuckdbEngine

_MOST: Final = 2**63 - 1
_SCALE: Final = 2**16
_DIGITS: Final = 3  # that are shown of a number that was not computed exactly
_SAID: Final = re.compile(r"overflow|out of (range|bounds)|not in range", re.IGNORECASE)
_NAMED: Final = (
    "Arrow",
    "ConversionException",
    "OutOfRangeException",
    "OverflowError",
    "Arithmetic",
    "PySpark",
    "Py4J",
)


class ScaledEngine(DuckdbEngine):
    """DuckDB, which reads some columns as a part of what they are."""

    def __init__(self, resources: Resources, columns: Iterable[str]) -> None:
        """Read these columns so, by their names in the lake."""
        super().__init__(resources)
        self._columns = frozenset(columns)

    def open(self, files: Sequence[str], schema: Any) -> Frame:
        """See Engine."""
        rows = super().open(files, schema).to_native()
        names = (f"{name} // {_SCALE} as {name}" if name in self._columns else f'"{name}"' for name in rows.columns)
        scaled: Frame = nw.from_native(rows.project(", ".join(names)))
        return scaled

    def typed(self, frame: Frame, schema: Any) -> Frame:
        """See Engine: what is made of such columns is such a part already."""
        columns, self._columns = self._columns, frozenset()
        try:
            return super().typed(frame, schema)
        finally:
            self._columns = columns


def is_too_large(error: BaseException) -> bool:
    """Whether an engine says that a number does not fit; those of a cluster arrive as text."""
    kinds = " ".join(kind.__name__ for kind in type(error).__mro__)
    return any(name in kinds for name in _NAMED) and bool(_SAID.search(str(error)))


def explained(
    table: Table,
    make: Callable[[Engine], Frame],
    inputs: Mapping[str, tuple[Table, Sequence[str]]],
    resources: Resources,
) -> str:
    """Why a table cannot be built, in a sentence that names a column and a row.

    Args:
        table: the table, as the shop has it.
        make: makes its rows on an engine.
        inputs: by parameter, the table and its files.
        resources: limits for DuckDB.
    """
    read = [one for one, _ in inputs.values()]
    found = (_first_beyond(table, make, read, kind, resources) for kind in (Type.CENTS, Type.UNITS))
    beyond = next((one for one in found if one), "it comes up on the way to its rows")
    with DuckdbEngine(resources) as engine:
        said = (_greatest(engine, name, one, files) for name, (one, files) in inputs.items() if files)
        greatest = "; ".join(one for one in said if one)
    return (
        f"{table.qualified_name} cannot be built, a number has more than 64 bits: {beyond}."
        f" The greatest values that it reads: {greatest}"
    )


def _first_beyond(
    table: Table, make: Callable[[Engine], Frame], read: Iterable[Table], kind: Type, resources: Resources
) -> str | None:
    """The first row, by key, with an amount, or a quantity, that does not fit."""
    whole = [one for one in table.columns if one.type is kind]
    if not whole:
        return None
    key = [table[name] for name in table.primary_key]
    fits = " and ".join(f"coalesce(abs({one.lake_name}) <= {_MOST // _SCALE}, true)" for one in whole)
    names = ", ".join(one.lake_name for one in (*key, *whole))
    order = ", ".join(one.lake_name for one in key)
    scaled = {one.lake_name for source in read for one in source.lake_columns if one.type is kind}
    try:
        with ScaledEngine(resources, scaled) as engine:
            rows = make(engine).to_native()
            found = rows.filter(f"not ({fits})").project(names).order(order).limit(1).fetchone()
    except Exception as error:
        if is_too_large(error):  # its part of a 65,536th too, or something else of it
            return None
        raise
    if found is None:
        return None
    values = dict(zip((one.name for one in (*key, *whole)), found, strict=True))
    column = next(one for one in whole if values[one.name] is not None and abs(values[one.name]) > _MOST // _SCALE)
    value = values[column.name] * _SCALE
    digits = len(str(abs(value))) - _DIGITS
    return f"{column.name} of {_row(key, values)} is about {_shown(column, round(value, -digits))}"


def _greatest(engine: Engine, name: str, table: Table, files: Sequence[str]) -> str | None:
    """The greatest amount or quantity of an input, and the row that it stands in."""
    from include.contract.arrow import arrow_schema

    columns = [one for one in table.columns if one.type in (Type.CENTS, Type.UNITS)]
    key = [table[one] for one in table.primary_key]
    native = engine.open(files, arrow_schema(table)).to_native()
    best: tuple[int, str] | None = None
    for column in columns:
        listed = ", ".join(one.lake_name for one in (*key, column))
        order = ", ".join(one.lake_name for one in key)
        row = native.project(listed).order(f"abs({column.lake_name}) desc nulls last, {order}").limit(1).fetchone()
        if row is None or row[-1] is None or (best and abs(row[-1]) <= best[0]):
            continue
        values = dict(zip((one.name for one in key), row[:-1], strict=True))
        best = abs(row[-1]), f"{name}.{column.name} {_shown(column, row[-1])} of {_row(key, values)}"
    return best[1] if best else None


def _row(key: Iterable[Column], values: Mapping[str, Any]) -> str:
    parts = ((one.name, values[one.name], one.type) for one in key)
    return ", ".join(f"{name} {day_of(int(value)) if kind is Type.DAY else value}" for name, value, kind in parts)


def _shown(column: Column, value: int) -> str:
    places = column.places if column.type in (Type.CENTS, Type.UNITS) else 0
    return f"{Decimal(value).scaleb(-places):,f}"
