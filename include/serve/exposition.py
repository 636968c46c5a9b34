"""What Prometheus scrapes: how fresh the tables are, what came of the last night, and what waits for somebody.

Every figure is read from the ledger when it is asked for; nothing is counted in this process. Belongs here: which
figures there are. Does not: their format, which is prometheus_client's, or who may ask (``app``).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, LiteralString

from prometheus_client.core import CollectorRegistry, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from psycopg.errors import UndefinedTable

from include.ledger.anomalies import EXPLAINS
from include.serve import figures
from include.settings.shops import of_shop

_log = logging.getLogger(__name__)
CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
Value = tuple[dict[str, str], float]  # its labels, and itself


@dataclass(frozen=True)
class Gauge:
    """A figure of the ledger.

    Attributes:
        name: as Prometheus has it, with the unit at its end.
        meaning: what it says.
        sql: gives its values: a column ``value``, null where there is none, and one for every label.
        labels: what tells its values apart.
    """

    name: str
    meaning: str
    sql: LiteralString
    labels: tuple[str, ...] = ()


# The night that began last, and the one that was published last, which may be the same.
_LAST: Final = """
with last as (
    select run_id, state, started_at from audit.runs where kind = 'night' and not dry_run
    order by started_at desc limit 1
),
published as (
    select publication_id, run_id, publications.night, published_at
    from audit.publications join audit.runs using (run_id)
    where kind = 'night'
    order by publication_id desc limit 1
)
"""
_STATUS: Final = """
from reporting.data_status where publication_id is not null
"""
GAUGES: Final = (
    Gauge(
        "stocktake_table_last_day_timestamp_seconds",
        "The last whole business day that a published table covers: its midnight, in UTC.",
        f'select published_table as "table", extract(epoch from last_day) as value {_STATUS}',
        ("table",),
    ),
    Gauge(
        "stocktake_table_published_timestamp_seconds",
        "When a table was last published.",
        f'select published_table as "table", extract(epoch from published_at) as value {_STATUS}',
        ("table",),
    ),
    Gauge(
        "stocktake_table_rows",
        "Rows of a table when it was last published.",
        f'select published_table as "table", rows as value {_STATUS}',
        ("table",),
    ),
    Gauge(
        "stocktake_table_complete",
        "1 where a table is made from copies that hold every row of the shop.",
        f'select published_table as "table", complete::integer as value {_STATUS}',
        ("table",),
    ),
    Gauge(
        "stocktake_table_ok",
        "0 where something has to be known of a table first: reporting.data_status says what.",
        f"""select published_table as "table", (verdict = 'ok')::integer as value {_STATUS}""",
        ("table",),
    ),
    Gauge(
        "stocktake_night_started_timestamp_seconds",
        "When the last night began.",
        f"{_LAST} select extract(epoch from started_at) as value from last",
    ),
    Gauge(
        "stocktake_night_state",
        "1 for the state of the last night.",
        f"""{_LAST} select one as state, (one = state)::integer as value
        from last cross join unnest(array['running', 'success', 'failed']) as states (one)""",
        ("state",),
    ),
    Gauge(
        "stocktake_night_published_timestamp_seconds",
        "When a night was last published.",
        f"{_LAST} select extract(epoch from published_at) as value from published",
    ),
    Gauge(
        "stocktake_night_published_day_timestamp_seconds",
        "The business day of the night that was last published: its midnight, in UTC.",
        f"{_LAST} select extract(epoch from night) as value from published",
    ),
    Gauge(
        "stocktake_stage_seconds",
        "What a stage of the last published night took.",
        f"{_LAST} select stage, sum(seconds) as value from audit.stages join published using (run_id) group by stage",
        ("stage",),
    ),
    Gauge(
        "stocktake_source_rows",
        "Rows of a source in the last published night, by what became of them.",
        f"""{_LAST} select source, outcome, value
        from audit.source_counts join published using (run_id)
        cross join lateral (
            values
                ('read', extracted), ('accepted', accepted), ('quarantined', quarantined), ('released', released),
                ('recalled', recalled), ('deleted', deleted)
        ) as outcomes (outcome, value)""",
        ("source", "outcome"),
    ),
    Gauge(
        "stocktake_proofs",
        "Proofs of the last published night, by whether they held.",
        f"""{_LAST} select outcome, count(*) filter (where held = (outcome = 'held')) as value
        from audit.conservation join published using (run_id)
        cross join unnest(array['held', 'failed']) as outcomes (outcome)
        group by outcome""",
        ("outcome",),
    ),
    Gauge(
        "stocktake_restated_figures",
        "Figures of earlier days that the last published night changed.",
        f"""{_LAST} select schema_name || '.' || table_name as "table", count(*) as value
        from audit.restatements join published using (publication_id)
        group by schema_name, table_name""",
        ("table",),
    ),
    Gauge(
        "stocktake_quarantine_rows",
        "Rows in quarantine now.",
        "select source, count(*) as value from audit.quarantine where outcome = 'open' group by source",
        ("source",),
    ),
    Gauge(
        "stocktake_quarantine_amount",
        "Money of the rows in quarantine now, in units of the currency. Two currencies are not added up.",
        """select coalesce(currency, '') as currency, sum(amount) as value from audit.quarantine
        where outcome = 'open' and amount <> 0 group by 1""",
        ("currency",),
    ),
    Gauge(
        "stocktake_runs_waiting",
        "Runs that wait for an approval.",
        """select count(*) as value from audit.approvals join audit.runs using (run_id)
        where answer is null and state = 'running'""",
    ),
    Gauge(
        "stocktake_unusual_figures",
        "Figures of the last published night's day that are not as expected and that nobody has explained.",
        f"""{_LAST} select count(*) as value from audit.anomalies join published using (run_id)
        where not exists (select from audit.explanations where {EXPLAINS})""",
    ),
    Gauge(
        "stocktake_incidents_open",
        "Incidents that are not over; none where STOCKTAKE_ALERTS names nobody.",
        "select kind, count(*) as value from audit.incidents where closed_at is null group by kind",
        ("kind",),
    ),
)


def exposition(shops: Sequence[str | None]) -> bytes:
    """All figures in Prometheus' text format; none before the first night.

    Args:
        shops: of which; None is the one of a deployment that names none.

    Raises:
        Busy: when the pages have all connections that they may have.
        ConnectionError: when the warehouse cannot be reached, where there is one shop.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Ledgers(tuple(shops)))
    return generate_latest(registry)


class _Ledgers(Collector):
    """The gauges, those of a shop read in one snapshot."""

    def __init__(self, shops: tuple[str | None, ...]) -> None:
        self._shops = shops

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """A family for every gauge."""
        for gauge, found in read(self._shops).items():
            names = gauge.labels if self._shops == (None,) else (*gauge.labels, "shop")
            family = GaugeMetricFamily(gauge.name, gauge.meaning, labels=names)
            for labels, value in found:
                family.add_metric([labels[label] for label in names], value)
            yield family


def read(shops: Sequence[str | None]) -> dict[Gauge, list[Value]]:
    """Every gauge with its values, each with its labels; of several shops, ``shop`` is one of them.

    Nothing of a shop before its first night, and nothing of one of several whose warehouse does not answer: what is
    known of the others is told all the same.

    Raises:
        Busy: when the pages have all connections that they may have, where there is one shop.
        ConnectionError: when the warehouse cannot be reached, where there is one shop.
    """
    found: dict[Gauge, list[Value]] = {}
    with ThreadPoolExecutor(len(shops)) as threads:  # side by side: a server that swallows packets takes 10 s
        for shop, of_one in zip(shops, threads.map(_of_shop, shops), strict=True):
            more = {} if shop is None else {"shop": shop}
            for gauge, values in of_one.items():
                found.setdefault(gauge, []).extend(({**labels, **more}, value) for labels, value in values)
    return found


def _of_shop(shop: str | None) -> dict[Gauge, list[Value]]:
    try:
        with of_shop(shop):
            return _read()
    except UndefinedTable:  # there is no ledger yet
        return {}
    except figures.TROUBLES as error:
        if shop is None:
            raise
        _log.warning("no figures of the shop %s: %s", shop, figures.said(error))
        return {}


def _read() -> dict[Gauge, list[Value]]:
    """Those of the shop that counts, all read in one snapshot."""
    found = {}
    with figures.snapshot() as cursor:
        for gauge in GAUGES:
            rows = [row for row in cursor.execute(gauge.sql).fetchall() if row["value"] is not None]
            found[gauge] = [({label: row[label] for label in gauge.labels}, float(row["value"])) for row in rows]
    return found
