"""The report pages as HTML: each is a single file that also works on phones, in dark mode and on paper."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from markupsafe import Markup

from include.lake import storage
from include.ledger.runs import Run
from include.serve import DAG_ID, figures, night
from include.serve.rendering import template
from include.serve.verdict import Mood, Verdict, verdict
from include.settings import settings
from include.settings.shops import dag_id_of


def write(run: Run) -> str:
    """Write the report of a run, from its last task.

    Returns:
        The path or URL of the page. There is one folder per run, so running it again replaces its page.

    Raises:
        KeyError: when the ledger has no such run.
        ConnectionError: when the warehouse cannot be reached.
    """
    page = storage.join(settings().reports, run.slug, "index.html")
    storage.write(page, _night(run.run_id, last_task=True).encode())
    return page


def render(run_id: str, home: str | None = None, *, rows_shown: bool = True) -> str:
    """The report of a run at this moment.

    Args:
        run_id: the run.
        home: the path of the dashboard, for a page that is served; None for one in a file.
        rows_shown: whether it has values of rows in quarantine: these hold personal data.

    Raises:
        KeyError: when the ledger has no such run.
        ConnectionError: when the warehouse cannot be reached.
    """
    return _night(run_id, home=home, rows_shown=rows_shown)


def render_today(home: str) -> str:
    """The dashboard: the verdict of the last night, and the places of the figures, which a script fills.

    Raises:
        ConnectionError: when the warehouse cannot be reached.
    """
    run, held, at_stake = figures.last_night()
    return template(
        "today.html.j2",
        run=run,
        verdict=verdict(run) if run else None,
        held=held,
        at_stake=at_stake,
        unusual=figures.unusual(run["run_id"]) if run else [],
        home=home,
    )


def render_shop(home: str, found: tuple[figures.Row | None, int, dict[str, Decimal]] | None, said: str | None) -> str:
    """A shop's line on the page of all shops.

    Args:
        home: the path of that page.
        found: what ``figures.last_night`` gives; None where its warehouse does not answer.
        said: then, why.
    """
    run, held, at_stake = found or (None, 0, {})
    return template(
        "shop.html.j2",
        run=run,
        verdict=verdict(run) if run else None,
        held=held,
        at_stake=at_stake,
        said=said,
        home=home,
    )


def render_shops(rows: Sequence[Markup]) -> str:
    """The page of all shops, of their lines."""
    return template("shops.html.j2", rows=rows, home=None)


def render_runs(home: str) -> str:
    """The list of the latest runs with their verdicts.

    Raises:
        ConnectionError: when the warehouse cannot be reached.
    """
    return template("runs.html.j2", runs=[(run, verdict(run)) for run in figures.runs()], home=home)


def render_status(home: str) -> str:
    """``reporting.data_status``: the data-through date and verdict of each table.

    Raises:
        ConnectionError: when the warehouse cannot be reached.
    """
    return template("status.html.j2", tables=figures.status(), home=home)


def render_operations(home: str, *, operates: bool) -> str:
    """What nights did: the places of the figures, which a script fills.

    Args:
        home: the path of the dashboard.
        operates: whether who reads it may start something.
    """
    return template("operations.html.j2", home=home, dag=dag_id_of(DAG_ID), operates=operates)


def render_message(word: str, sentence: str, home: str) -> str:
    """A page with a message, shown instead of a page that cannot be shown."""
    return template("message.html.j2", verdict=Verdict(Mood.BAD, word, sentence), home=home)


def _night(run_id: str, home: str | None = None, *, last_task: bool = False, rows_shown: bool = True) -> str:
    found = night.read(run_id)
    return template(
        "night.html.j2", night=found, verdict=verdict(found.run, last_task=last_task), home=home, rows_shown=rows_shown
    )
