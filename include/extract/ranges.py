"""Which sources are read by several connections, and in which ranges: of a table's blocks, else of the key.

The ranges of a source are found outside the snapshot: they name every row exactly once, whatever is committed
meanwhile, because the first is open below and the last one above.

Belongs here: where ranges begin and end, and whether it pays. Does not: who reads them (``work``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import psycopg
from psycopg import sql

from include.contract import Source
from include.extract.reading import is_number
from include.extract.sql_files import EVERYTHING, PLACE, Range, shop_sql
from include.extract.statements import shop_connection

# Of a source that is read in ranges, as the shop estimates them: 200,000 lines are read and summed in two seconds. A
# range costs 0.01 to 0.03 s more; of 50,000 lines that is a twentieth.
FEWEST_ROWS: Final = 200_000
_EACH: Final = 50_000  # rows of a range, at least
_PER_CONNECTION: Final = 4  # ranges: one that turns out larger than the others does not decide how long all take

# By the shop's estimate, what all ranges may cost together, compared with the whole statement at once. Ranges of blocks
# cost the same as the whole (590,000 lines in 16 ranges: 1.1 to 1.3 s, at once 1.1 to 1.2 s), in whatever order rows
# lie. Ranges of a key in whose order they lie are estimated at 1.8 times (and took 1.1 s), of a random uuid at 12 times
# (1.6 to 2.0 s from memory; from a disk every range would read nearly every block).
_MOST_COST: Final = 3.0
_BOUNDS_COST: Final = (
    0.1  # the same, of asking for the least and the greatest key: it is read from an index, or not at all
)

_SIZE: Final = """
select pg_relation_size(class.oid) / current_setting('block_size')::bigint
from pg_class as class
join pg_namespace as namespace on namespace.oid = class.relnamespace
where nspname = %s and relname = %s
"""
_HISTOGRAM: Final = """
select histogram_bounds::text::text[]
from pg_class as class
join pg_namespace as namespace on namespace.oid = class.relnamespace
join pg_attribute as attribute on attribute.attrelid = class.oid
join pg_stats as stats on (schemaname, tablename, stats.attname) = (nspname, relname, attribute.attname)
where class.oid = %s and attnum = %s and histogram_bounds is not null
order by inherited desc
limit 1
"""


@dataclass(frozen=True)
class Order:
    """In which order sources are read, and how.

    Attributes:
        names: the sources, those first that the shop expects to take longest.
        ranges: the ranges of those that are read in ranges.
    """

    names: Sequence[str]
    ranges: dict[str, list[Range]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Plan:
    """How Postgres would run a statement.

    Attributes:
        nodes: its steps, as ``explain`` gives them.
    """

    nodes: Sequence[dict[str, Any]]

    @property
    def cost(self) -> float:
        return float(self.nodes[0]["Total Cost"])

    @property
    def rows(self) -> int:
        return int(self.nodes[0]["Plan Rows"])

    @property
    def may_add_nulls(self) -> bool:
        """Whether a column that is never null may be, because a row of its table found no partner."""
        return any(node.get("Join Type") in ("Left", "Right", "Full") for node in self.nodes)


def in_order(sources: Collection[Source], whole: Collection[str], connections: int) -> Order:
    """Find out how long sources take, and divide the large ones.

    Args:
        sources: the sources.
        whole: the names of those of which every row is read.
        connections: how many read.
    """
    with shop_connection() as shop:
        plans = {one.name: _planned(shop, shop_sql(one, EVERYTHING)) for one in sources}
        names = sorted(plans, key=lambda name: -plans[name].cost)
        large = [one for one in sources if one.name in whole and plans[one.name].rows >= FEWEST_ROWS]
        found = {one.name: _divide(shop, one, plans[one.name], connections) for one in large}
    return Order(names, {name: some for name, some in found.items() if some})


def _divide(shop: psycopg.Connection, source: Source, whole: _Plan, connections: int) -> list[Range]:
    """The ranges of a source; none where they cannot be told, or would cost the shop too much."""
    count = min(_PER_CONNECTION * connections, max(2, whole.rows // _EACH))
    for divided in (_of_blocks, _of_keys):
        for found in divided(shop, source, whole, count):
            if len(found) > 1 and _all_cost(shop, source, found) <= _MOST_COST * whole.cost:
                return found
    return []


def _of_blocks(shop: psycopg.Connection, source: Source, whole: _Plan, count: int) -> Iterator[list[Range]]:
    """Ranges of the blocks of a table that the statement reads (Postgres 14 and later), of each that it can name."""
    statement = shop_sql(source, EVERYTHING)
    aliases = dict.fromkeys(sql.Identifier(node["Alias"]).as_string(None) for node in whole.nodes if "Alias" in node)
    for place in ("ctid", *(f"{alias}.ctid" for alias in aliases)):
        try:
            plan = _planned(shop, Range(f"{PLACE} < '(1,0)'", place).of(statement))
        except psycopg.OperationalError:  # the server, not the statement
            raise
        except psycopg.Error:  # it reads no such table, several, a view, or makes groups
            continue
        # Of a partitioned table, the ranges are of the blocks of every partition.
        tables = {(one["Schema"], one["Relation Name"]) for one in plan.nodes if one["Node Type"] == "Tid Range Scan"}
        blocks = max((int((shop.execute(_SIZE, table).fetchone() or (0,))[0]) for table in tables), default=0)
        bounds = dict.fromkeys(blocks * number // count for number in range(1, count))
        yield _between(PLACE, [f"'({bound},0)'" for bound in bounds if bound], place, with_nulls=whole.may_add_nulls)


def _of_keys(shop: psycopg.Connection, source: Source, whole: _Plan, count: int) -> Iterator[list[Range]]:
    """Ranges of the first column of the key."""
    key, statement = source.primary_key[0], shop_sql(source, EVERYTHING)
    result = shop.execute(f"select source.{key} from ({statement}) as source limit 0".encode()).pgresult
    if result is None:
        return
    (kind,) = shop.execute("select format_type(%s, null)", [result.ftype(0)]).fetchone() or ("",)
    # Also through a subquery or a join, it is known of which table's column a result is; not of a computed one.
    (values,) = shop.execute(_HISTOGRAM, [result.ftable(0), result.ftablecol(0)]).fetchone() or ([],)
    if not values and is_number(kind):
        ends = f"select min({key}), max({key}) from ({statement}) as source"
        if _planned(shop, ends).cost <= _BOUNDS_COST * whole.cost:
            least, greatest = shop.execute(ends.encode()).fetchone() or (None, None)
            values = [] if least is None else [least + (greatest - least) * part // count for part in range(count)]
    some = dict.fromkeys(values[len(values) * number // count] for number in range(1, count)) if values else ()
    yield _between(key, [f"{sql.Literal(str(value)).as_string(None)}::{kind}" for value in some])


def _between(column: str, bounds: Sequence[str], place: str = "", *, with_nulls: bool = True) -> list[Range]:
    """The ranges between ascending bounds: below the first one, from each to the next, from the last one on."""
    if not bounds:
        return []
    wheres = [
        f"{column} < {bounds[0]}",
        *(f"{column} >= {low} and {column} < {high}" for low, high in pairwise(bounds)),
        f"{column} >= {bounds[-1]}",
    ]
    return [Range(where, place) for where in (*wheres, *([f"{column} is null"] if with_nulls else []))]


def _all_cost(shop: psycopg.Connection, source: Source, some: Sequence[Range]) -> float:
    return sum(_planned(shop, one.of(shop_sql(source, EVERYTHING))).cost for one in some)


def _planned(shop: psycopg.Connection, statement: str) -> _Plan:
    """How Postgres would run a statement.

    Raises:
        psycopg.Error: when it refuses it.
    """
    with shop.transaction():
        (found,) = shop.execute(f"explain (verbose, format json) {statement}".encode()).fetchone() or ([],)
    return _Plan(list(_nodes(found[0]["Plan"])))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for one in plan.get("Plans", ()):
        yield from _nodes(one)
