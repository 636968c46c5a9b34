"""The recipes of CONTRIBUTING.md, followed in a copy of the project: they end well, and what is left out is noticed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from include.demo_shop.defects import DEFECTS
from include.settings import ROOT
from tests.contributing.conftest import Copy

STALE = "tests/test_generated_docs.py::test_a_page_is_what_it_is_written_from[{}]"
LEFT_OUT = "tests/test_nothing_left_out.py::"
README = (ROOT / "README.md").read_text()


@dataclass(frozen=True)
class Place:
    """One place that a recipe lists, and what a contributor does there.

    Attributes:
        path: the file.
        said: how the recipe names it.
        old: what is replaced; empty where the file is new.
        new: by what.
        noticed_by: the test that fails while this place alone of the recipe is left as it was; empty where none does.
    """

    path: str
    said: str
    old: str
    new: str
    noticed_by: str = ""


def recipe(title: str) -> str:
    """The section of CONTRIBUTING.md, however its lines are broken."""
    section = (ROOT / "CONTRIBUTING.md").read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    return " ".join(section.split())


def follow(copy: Copy, title: str, places: Sequence[Place], tests: Sequence[str], stale: Sequence[str] = ()) -> None:
    """Do what a recipe says, place after place; then all is well. Before, each place that was left out is noticed.

    Args:
        copy: where.
        title: of the recipe.
        places: what to do; the last of them are those that a test notices.
        tests: what ``make check`` runs of it.
        stale: the pages that are stale before ``make docs``.
    """
    text = recipe(title)
    assert [place.said for place in places if place.said not in text] == []
    for place in places:
        if not place.noticed_by:
            copy.edit(place.path, place.old, place.new)
    noticed = {place.noticed_by for place in places if place.noticed_by}
    tests = [*tests, *(STALE.format(page) for page in stale)]
    assert copy.failing(*tests) >= noticed | {STALE.format(page) for page in stale}
    for place in places:
        if place.noticed_by:
            copy.edit(place.path, place.old, place.new)
    if stale:
        assert "make docs" in text
        copy.done("-c", f"from include.contributing import pages; pages.write({list(stale)})")  # the others read DAGs
    assert copy.failing(*tests) == set()
    copy.done("-m", "ruff", "check")
    copy.done("-m", "ruff", "format", "--check")


@pytest.mark.long
def test_a_table(copy: Copy) -> None:
    assert "make table NAME=" in recipe("A table")
    copy.done("-m", "include.contributing", "table", "baskets", "reporting")
    place = "transforms/reporting/baskets.py"
    listed = next(line for line in README.splitlines(keepends=True) if line.startswith("reporting.order_lines "))
    places = (
        Place(
            place,
            "transforms/<layer>/<table>.py",
            "To be filled in: what it says, how it is computed, and where its definitions come from. Until then it "
            "counts orders.",
            "A basket is an order.",
        ),
        Place(place, "The parameters of `build`", "def build(orders: Frame)", "def build(reporting_orders: Frame)"),
        Place(place, "transforms/<layer>/<table>.py", "return orders.", "return reporting_orders."),
        Place(
            "tests/transforms/test_baskets.py",
            "tests/transforms/test_<table>.py",
            "        3        1           EUR      2026-01-05T10:00",
            "        3        1           EUR      2026-01-06T10:00",
        ),
        Place(
            "tests/transforms/test_baskets.py",
            "tests/transforms/test_<table>.py",
            "2026-01-05 1",
            "2026-01-06 1",
            "tests/transforms/test_baskets.py::test_counts_the_orders_of_a_day[pandas]",
        ),
        Place(
            "include/audit/not_reconciled.py",
            "include/audit/not_reconciled.py",
            "= {\n",
            '= {\n    "baskets": "It counts orders, which are reconciled.",\n',
            f"{LEFT_OUT}test_every_reporting_table_is_reconciled_or_says_why_not",
        ),
        Place(
            "README.md",
            "README.md",
            listed,
            f"reporting.baskets                  400       400        0\n{listed}",
            f"{LEFT_OUT}test_readme_lists_every_table_that_a_night_publishes",
        ),
        Place(
            "transforms/restatements.md",
            "transforms/restatements.md",
            "| `daily_sales`, ",
            "| `daily_sales`, `baskets`, ",
            f"{LEFT_OUT}test_every_reporting_table_says_which_of_its_rows_may_change",
        ),
    )
    tests = (
        "tests/test_nothing_left_out.py",
        "tests/transforms/test_baskets.py",
        "tests/transforms/test_registry.py",
    )
    follow(copy, "A table", places, tests, ["transforms/README.md"])
    program = """
from transforms.registry import TABLES, buildable
from include.sources import SOURCES
names = buildable(SOURCES).of("reporting")
print("baskets" in names, names.index("orders") < names.index("baskets"), *TABLES["baskets"].sources)
"""
    said = copy.done("-c", program).split()
    assert (said[:2], set(said[2:])) == (
        ["True", "True"],
        {"orders", "order_items", "order_refunds", "refunds", "shipment_items"},
    )
    assert "\n## baskets\n" in (copy.root / "transforms" / "README.md").read_text()


NIGHT = '''
"""The new column, on a real night."""

from __future__ import annotations

from dataclasses import replace

from include.lake import tables as lake
from tests.nights import Nights


def test_it_arrives(nights: Nights) -> None:
    replace(nights, names=("order_lines", "orders")).report()
    assert nights.ask("select count(*) > 0 from reporting.orders where is_sent") == [(True,)]
    assert nights.ask("select count(*) from reporting.orders where is_sent is null") == [(0,)]
    assert Path(lake.folder("clean", "orders")).exists()
'''


@pytest.mark.long
def test_a_column(copy: Copy) -> None:
    column = 'Column("is_sent", Type.BOOLEAN, "Whether it goes to an address; null where unknown.", nullable=True),\n'
    reads = "tests/contract/test_sources.py::test_every_shop_that_comes_along_reads_into_the_contracts[{}]"
    table = "transforms/reporting/orders.py"
    places = (
        Place(
            "include/sources/orders.py",
            "include/sources/<source>.py",
            '        Column("payment_id",',
            f'        {column}        Column("payment_id",',
        ),
        Place(
            table,
            "transforms/<layer>/<table>.py",
            '        Column("item_count",',
            f'        {column}        Column("item_count",',
        ),
        Place(
            "tests/transforms/test_is_sent.py",
            "tests/transforms/test_<table>.py",
            "",
            '"""reporting.orders.is_sent."""\n\nfrom __future__ import annotations\n\n'
            "from tests.transforms.conftest import Report\n\n\n"
            "def test_says_where_it_goes(report: Report) -> None:\n"
            '    shop = {"orders": "order_id customer_id ordered_at is_sent\\n1 1 2026-01-02 yes\\n"}\n'
            '    report(shop).check("orders", "\\norder_id is_sent\\n1 yes\\n")\n',
        ),
        Place(
            "include/sources/demo_shop/orders.sql",
            "include/sources/demo_shop/<source>.sql",
            "    payment_id,\n",
            "    payment_id,\n    shipping_address is not null as is_sent,\n",
            reads.format("demo_shop"),
        ),
        Place(
            "include/sources/complete_journey/orders.sql",
            "include/sources/complete_journey/<source>.sql",
            "    null as payment_id,\n",
            "    null as payment_id,\n    null::boolean as is_sent,\n",
            reads.format("complete_journey"),
        ),
        Place(
            "include/sources/medusa/orders.sql",
            "include/sources/medusa/<source>.sql",
            "    first_captures.payment_id,\n",
            "    first_captures.payment_id,\n    placed.shipping_address_id is not null as is_sent,\n",
            reads.format("medusa"),
        ),
        Place(
            table,
            "the build that carries it",
            "_TAKEN = [\n",
            '_TAKEN = [\n    "is_sent",\n',
            "tests/transforms/test_is_sent.py::test_says_where_it_goes[duckdb]",
        ),
    )
    tests = (
        "tests/contract/test_sources.py",
        "tests/transforms/test_is_sent.py",
        "tests/transforms/test_orders.py",
    )
    follow(copy, "A column", places, tests, ["transforms/README.md", "include/sources/README.md"])
    program = """
from include.contract.arrow import arrow_schema
from include.sources import SOURCES
from transforms.registry import TABLES
print(arrow_schema(SOURCES["orders"]).field("is_sent").type, arrow_schema(TABLES["orders"].table).field("is_sent").type)
"""
    assert copy.done("-c", program) == "bool bool"
    copy.edit("tests/pipeline/test_is_sent.py", "", NIGHT.lstrip())
    assert copy.failing("tests/pipeline/test_is_sent.py") == set()


PLANTED = '''
"""The new rule, on a real night."""

from __future__ import annotations

from dataclasses import replace

from include.demo_shop.planting import plant
from tests.nights import Nights


def test_it_quarantines_the_planted_row(nights: Nights) -> None:
    with nights.shop.transaction():
        (planted,) = plant(nights.shop, ["unknown_country"])
    replace(nights, names=("order_lines",)).report()
    assert nights.ask("select source, row_key, rules from audit.quarantine where source = 'customers'") == [
        ("customers", planted.key, ["country_well_formed"])
    ]
'''


@pytest.mark.long
def test_a_rule(copy: Copy) -> None:
    places = (
        Place(
            "include/sources/customers.py",
            "include/sources/<source>.py",
            '        at_most("created_at",',
            '        matches("country", "country_well_formed", "A country is two capital letters.", "^[A-Z][A-Z]$"),\n'
            '        at_most("created_at",',
        ),
        Place(
            "include/demo_shop/defects/of_stock.py",
            "include/demo_shop/defects/",
            "\nSTOCK_DEFECTS",
            "_COUNTRY = (\n    Defect(\n"
            '        name="unknown_country",\n        source="customers",\n'
            '        description="a customer from Atlantis",\n        rule="country is an ISO 3166 code",\n'
            '        change={"country": "\'Atlantis\'"},\n    ),\n)\n\nSTOCK_DEFECTS',
        ),
        Place(
            "include/demo_shop/defects/of_stock.py",
            "a `Defect` that breaks it in one row",
            "(*_STOCK, *_CATALOGUE)",
            "(*_STOCK, *_CATALOGUE, *_COUNTRY)",
        ),
        Place(
            "tests/gate/defects.py",
            "tests/gate/defects.py",
            '    "malformed_email":',
            '    "unknown_country": {"country_well_formed"},\n    "malformed_email":',
            f"{LEFT_OUT}test_every_rule_of_a_source_has_a_defect_or_says_why_not",
        ),
        Place(
            "tests/demo_shop/test_defects.py",
            "tests/demo_shop/test_defects.py",
            '    "malformed_email":',
            '    "unknown_country": set(),\n    "malformed_email":',
            "tests/demo_shop/test_defects.py::test_every_defect_is_known",
        ),
        Place(
            "README.md",
            "README.md",
            f"each of the {len(DEFECTS)} defects",
            f"each of the {len(DEFECTS) + 1} defects",
            f"{LEFT_OUT}test_readme_counts_the_defects",
        ),
    )
    tests = (
        "tests/test_nothing_left_out.py",
        "tests/demo_shop/test_defects.py::test_every_defect_is_known",
    )
    follow(copy, "A rule", places, tests, ["include/sources/README.md"])
    copy.edit("tests/gate/test_unknown_country.py", "", PLANTED.lstrip())
    assert copy.failing("tests/gate/test_unknown_country.py") == set()


def test_a_setting(copy: Copy) -> None:
    places = (
        Place(
            "include/settings/deployment.py",
            "include/settings/deployment.py",
            "    data_docs: bool",
            '    patience_hours: int = Field(default=3, ge=1, description="For how long nobody is called.")\n'
            "    data_docs: bool",
        ),
        Place(
            "tests/test_settings.py",
            "tests/test_settings.py",
            '        ("batch_rows", "0",',
            '        ("patience_hours", "0", "greater than or equal to 1"),\n        ("batch_rows", "0",',
        ),
        Place(
            ".env.example",
            ".env.example",
            "# STOCKTAKE_DATA_DOCS=false\n",
            "# STOCKTAKE_DATA_DOCS=false\n# STOCKTAKE_PATIENCE_HOURS=3\n",
            "tests/house/test_layout.py::test_every_setting_is_explained_where_it_is_set",
        ),
        Place(
            "docker-compose.yaml",
            "docker-compose.yaml",
            "    STOCKTAKE_DATA_DOCS:\n",
            "    STOCKTAKE_DATA_DOCS:\n    STOCKTAKE_PATIENCE_HOURS:\n",
            "tests/test_compose.py::test_every_setting_reaches_airflow_and_is_explained",
        ),
    )
    tests = (
        "tests/test_compose.py",
        "tests/test_settings.py",
        "tests/house/test_layout.py::test_every_setting_is_explained_where_it_is_set",
    )
    follow(copy, "A setting", places, tests)
    program = "from include.settings import settings; print(settings().patience_hours)"
    urls = {f"STOCKTAKE_{name}_URL": "postgresql:///nowhere" for name in ("SHOP", "WAREHOUSE")}
    assert copy.done("-c", program, **urls) == "3"
    assert copy.done("-c", program, **urls, STOCKTAKE_PATIENCE_HOURS="9") == "9"


STEPS = '''\
"""What the DAG ``weekly`` does: count what is in quarantine."""

from __future__ import annotations

from include.ledger.connection import connect


def count() -> int:
    """How many rows are in quarantine."""
    with connect() as ledger:
        row = ledger.execute("select count(*) from audit.quarantine where outcome = 'open'").fetchone()
    return int(row[0]) if row else 0
'''
DAG = '''\
"""# weekly: how much is in quarantine

Counts the rows that are in quarantine, into the task's log.

**When** On Mondays at 8.

**Running it again** counts again.

**Parameters** none.

**When it is red** The warehouse cannot be reached: trigger it again.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, CronTriggerTimetable, task

from dags.shops import each_shop
from include.pipeline.task_defaults import task_defaults
from include.settings import settings
from include.settings.shops import dag_id_of


def weekly() -> None:
    """The DAG of a shop."""
    with DAG(
        dag_id_of("weekly"),
        schedule=CronTriggerTimetable("0 8 * * MON", timezone=settings().timezone),
        start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - read in the timetable's zone
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=timedelta(hours=1),
        default_args=task_defaults(),
        tags=["stocktake", "weekly"],
        doc_md=__doc__,
    ):

        @task
        def count() -> int:
            """Count them."""
            from include.pipeline import weekly

            return weekly.count()

        count()


for _ in each_shop():
    weekly()
'''


@pytest.mark.long
def test_a_dag(copy: Copy) -> None:
    places = (
        Place("include/pipeline/weekly.py", "include/pipeline/<dag>.py", "", STEPS),
        Place("dags/weekly.py", "dags/<dag>.py", "", DAG),
        Place(
            "tests/dags/test_nightly.py",
            "tests/dags/test_nightly.py",
            '    "watch",\n}',
            '    "watch",\n    "weekly",\n}',
            "tests/dags/test_nightly.py::test_these_dags_there_are_and_no_others",
        ),
    )
    tests = (
        "tests/dags/test_nightly.py",
        "-k=a_page or these_dags or nothing_is_missing or weekly",
    )
    follow(copy, "A DAG", places, tests, ["dags/README.md"])
    program = "from include.contributing.dag_bag import parsed; print(*parsed()['dags']['weekly']['tasks'])"
    assert copy.done("-c", program) == "count"


@pytest.mark.parametrize("title", ["A table", "A column", "A rule", "A setting", "A DAG"])
def test_a_recipe_ends_with_the_check(title: str) -> None:
    assert "`make check`" in recipe(title)
