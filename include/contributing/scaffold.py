"""The skeleton of a new published table: a file, its test, its line in the registry. It builds and passes as it is."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from keyword import iskeyword
from pathlib import Path
from typing import Final

from include.settings import ROOT
from include.sources import SOURCES
from transforms.registry import SPECIAL, TABLES

# What the skeleton's docstring says until somebody fills it in; so long, nobody asks for the places that follow.
UNFILLED: Final = "To be filled in:"

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST: Final = 50
_REGISTRY: Final = ROOT / "transforms" / "registry.py"

_REPORTING: Final = '''\
"""``reporting.{name}``: orders placed on each business day.

To be filled in: what it says, how it is computed, and where its definitions come from. Until then it counts orders.
"""

from __future__ import annotations

import narwhals as nw

from include.contract import Column, Rebuild, Severity, Table, Type
from include.contract.rules import between
from transforms.engines import Frame

TABLE = Table(
    schema="reporting",
    name="{name}",
    grain="One row per business day on which an order was placed.",
    columns=(
        Column("day", Type.DAY, "The business day."),
        Column("orders", Type.INTEGER, "Orders placed that day, cancelled ones too."),
    ),
    primary_key=("day",),
    rebuild=Rebuild.full(),
    rules=(between("orders", "orders_positive", "A day has an order.", least=1, severity=Severity.STOP),),
)


def build(orders: Frame) -> Frame:
    """Count the orders of each day."""
    return orders.with_columns(day=nw.col("ordered_on")).group_by("day").agg(nw.len().alias("orders"))
'''

_REPORTING_TEST: Final = '''\
"""reporting.{name}."""

from __future__ import annotations

from tests.transforms.conftest import Report


def test_counts_the_orders_of_a_day(report: Report) -> None:
    shop = {{
        "orders": """
            order_id customer_id currency ordered_at
            1        1           EUR      2026-01-02T10:00
            2        2           EUR      2026-01-02T11:00
            3        1           EUR      2026-01-05T10:00
        """
    }}
    report(shop).check(
        "{name}",
        """
        day        orders
        2026-01-02 2
        2026-01-05 1
        """,
    )


def test_a_shop_without_rows(report: Report) -> None:
    assert report({{}}).rows("{name}") == []
'''

_FEATURES: Final = '''\
"""``features.{name}``: how long the shop has known each customer, at the end of one day.

To be filled in: what it says, how it is computed, and where its definitions come from. Until then it counts days.
"""

from __future__ import annotations

import narwhals as nw

from include.contract import Column, Rebuild, Severity, Table, Type
from include.contract.rules import between
from include.contract.table import key
from transforms.engines import Frame

TABLE = Table(
    schema="features",
    name="{name}",
    grain="One row per night and customer.",
    columns=(
        Column("as_of", Type.DAY, "The business day at whose end this was known."),
        key("customers", "customer_id", "The customer."),
        Column("days_known", Type.INTEGER, "Days since the account was opened."),
    ),
    primary_key=("as_of", "customer_id"),
    rebuild=Rebuild.as_of("as_of"),
    rules=(between("days_known", "days_not_negative", "No account is opened later.", least=0, severity=Severity.STOP),),
)


def build(customers: Frame, as_of: int) -> Frame:
    """Count each customer's days."""
    today = nw.lit(as_of, dtype=nw.Int64)
    return customers.select("customer_id", as_of=today, days_known=today - nw.col("created_on"))
'''

_FEATURES_TEST: Final = '''\
"""features.{name}."""

from __future__ import annotations

from tests.transforms.conftest import Report


def test_counts_the_days_of_a_customer(report: Report) -> None:
    shop = {{
        "customers": """
            customer_id created_at
            1           2026-01-01
            2           2026-01-10
        """
    }}
    report(shop, as_of="2026-01-10").check(
        "{name}",
        """
        as_of      customer_id days_known
        2026-01-10 1           9
        2026-01-10 2           0
        """,
    )


def test_a_shop_without_rows(report: Report) -> None:
    assert report({{}}).rows("{name}") == []
'''

_LAYERS: Final = {"reporting": (_REPORTING, _REPORTING_TEST), "features": (_FEATURES, _FEATURES_TEST)}


class Refused(Exception):
    """No skeleton can be written; the message says why."""


def write(name: str, layer: str) -> list[str]:
    """Write the skeleton and the pages again.

    Args:
        name: the table's name.
        layer: the schema in which it is published.

    Returns:
        What was written and what to do next, for a person.

    Raises:
        Refused: when a table cannot be called so.
    """
    _check(name, layer)
    skeleton, test = _LAYERS[layer]
    file, test_file = f"transforms/{layer}/{name}.py", f"tests/transforms/test_{name}.py"
    (ROOT / file).write_text(skeleton.format(name=name))
    (ROOT / test_file).write_text(test.format(name=name))
    _REGISTRY.write_text(registered(_REGISTRY.read_text(), name, layer))
    # This process has read the registry as it was.
    subprocess.run([sys.executable, "-m", "include.contributing", "docs"], cwd=ROOT, check=True)
    return [
        f"Written: {file}, {test_file}, a line in transforms/registry.py, and the generated pages.",
        'It builds and passes `make check` as it is. CONTRIBUTING.md, "A table", says what to fill in.',
    ]


def registered(registry: str, name: str, layer: str) -> str:
    """The text of the registry with one more table, the last of its layer."""
    *_, last = re.finditer(rf'^    "{layer}\.\w+",\n', registry, re.MULTILINE)
    return f'{registry[: last.end()]}    "{layer}.{name}",\n{registry[last.end() :]}'


def unfilled(tables: Iterable[str]) -> set[str]:
    """Of some published tables, those whose file is still the skeleton."""
    files = {name: Path(ROOT, "transforms", TABLES[name].table.schema, f"{name}.py") for name in tables}
    return {name for name, file in files.items() if UNFILLED in file.read_text()}


def _check(name: str, layer: str) -> None:
    if layer not in _LAYERS:
        raise Refused(f"There is no layer {layer!r}: LAYER is one of {', '.join(_LAYERS)}.")
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise Refused(
            f"A table cannot be called {name!r}: a name is lower-case words joined by _, like refunds_daily, of at "
            f"most {_LONGEST} characters."
        )
    if iskeyword(name) or name in SPECIAL or name.startswith(tuple(f"{one}_" for one in _LAYERS)):
        raise Refused(f"A table cannot be called {name!r}: a build could not name it as a parameter.")
    if name in TABLES:
        raise Refused(f"There is a table {TABLES[name].table.qualified_name} already.")
    if name in SOURCES:
        raise Refused(f"{name!r} is a source: a table of that name would be taken for it in every build.")
    if (ROOT / f"tests/transforms/test_{name}.py").exists():
        raise Refused(f"tests/transforms/test_{name}.py is there already, and tests something else.")
