"""What may go wrong with a run, and what becomes of it. The tasks go by this table, and the README shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import duckdb
import psycopg


class Outcome(StrEnum):
    """What becomes of a run."""

    GOES_ON = "goes on"
    AGAIN = "tried again"
    WAITS = "waits"
    STOPS = "stops"


@dataclass(frozen=True)
class Trouble:
    """Something that may go wrong.

    Attributes:
        what: what it is, for a person.
        outcome: what becomes of the run.
        then: what follows, and what to do.
        errors: the exceptions that say so, as dotted names.
        sqlstates: the errors of Postgres that say so, by class (``53``) or by code (``25006``).
        words: a regular expression for DuckDB's errors, which quote Postgres without its code.
    """

    what: str
    outcome: Outcome
    then: str
    errors: tuple[str, ...] = ()
    sqlstates: tuple[str, ...] = ()
    words: str | None = None


TROUBLES: Final = (
    Trouble(
        "The shop, the warehouse or the lake's object store is away, or a connection broke",
        Outcome.AGAIN,
        "Nothing to do if it comes back within the pauses.",
        errors=("builtins.OSError", "psycopg.OperationalError"),
        sqlstates=("08", "57P"),
        words="server closed the connection|terminating connection|connection to server|the database system is",
    ),
    Trouble(
        "A server has no room: disk, memory, connections",
        Outcome.AGAIN,
        "What was staged is dropped at once. Make room.",
        sqlstates=("53", "58"),
        words="No space left on device|could not (extend|write|read|open) |out of (shared )?memory"
        "|too many (clients|connections)|remaining connection slots",
    ),
    Trouble(
        "A statement waited too long, for a lock or at all",
        Outcome.AGAIN,
        "For a lock of ours the message says who holds it.",
        errors=("duckdb.IOException",),
        sqlstates=("55", "57014"),
        words="canceling statement due to|could not obtain lock",
    ),
    Trouble(
        "Two transactions were in each other's way",
        Outcome.AGAIN,
        "Nothing to do.",
        errors=("deltalake.exceptions.CommitFailedError",),
        sqlstates=("40",),
        words="deadlock detected|could not serialize access|due to conflict with recovery",
    ),
    Trouble(
        "The warehouse is read-only: it is being switched over",
        Outcome.AGAIN,
        "If it stays so, the role that publishes may not write: look at its default_transaction_read_only.",
        sqlstates=("25006",),
        words="in a read-only transaction|during recovery",
    ),
    Trouble(
        "A worker was killed, or its machine went away",
        Outcome.AGAIN,
        "The next attempt goes on from what is in the lake and in the ledger.",
    ),
    Trouble(
        "Airflow's own API server is away, or slow to answer",
        Outcome.AGAIN,
        "Nothing to do if it comes back within the pauses.",
        errors=("airflow.sdk.exceptions.AirflowRuntimeError",),
    ),
    Trouble(
        "More rows are bad, or gone from the shop, than the contract tolerates",
        Outcome.WAITS,
        "An operator answers under Required Actions; no answer within `STOCKTAKE_APPROVAL_HOURS` is a no.",
    ),
    Trouble(
        "A row breaks a rule, or cannot be read",
        Outcome.GOES_ON,
        "The row and its family are in quarantine, with every reason; they are checked again every night.",
    ),
    Trouble(
        "Another run builds the same table, accepts or publishes",
        Outcome.WAITS,
        "It takes its turn. A run that a later one has overtaken is refused, with both instants.",
    ),
    Trouble(
        "A rule that stops the night is broken",
        Outcome.STOPS,
        "Have the rows fixed in the shop, clear `begin`.",
    ),
    Trouble(
        "The shop's tables changed, or row-level security hides rows",
        Outcome.STOPS,
        "Nothing is written. The message names contract, column, expected and found.",
    ),
    Trouble(
        "A file of the shop's folder does not give what its contract says",
        Outcome.STOPS,
        "Nothing is written. The message names file, line and what to write; `make map` says it without a night.",
    ),
    Trouble(
        "The lake, or the warehouse, holds the rows of another shop",
        Outcome.STOPS,
        "Nothing is written. The message names both, and what to do.",
    ),
    Trouble(
        "The copy is not what the shop holds",
        Outcome.STOPS,
        "Clear `begin`. If it stays so, somebody writes to the lake beside Stocktake.",
    ),
    Trouble(
        "A figure does not add up from source to table, or the warehouse does not hold what was written",
        Outcome.STOPS,
        "Nothing is published. The message shows both sides and the first keys.",
    ),
    Trouble(
        "The lake's object store refuses the key, or has no such bucket",
        Outcome.STOPS,
        "Nothing is read. The message names the setting to mend.",
    ),
    Trouble(
        "A file of the lake is damaged",
        Outcome.STOPS,
        "The message names it, and the run that builds it anew.",
    ),
    Trouble(
        "Postgres refuses a statement: syntax, a privilege, a constraint, a value",
        Outcome.STOPS,
        "The message begins with Postgres' reason.",
        sqlstates=("0A", "22", "23", "3F", "42", "54"),
    ),
    Trouble(
        "Anything else: a bug, or what nobody thought of",
        Outcome.STOPS,
        "The task's log ends with the error; yesterday's tables stand.",
    ),
)
AGAIN: Final = tuple(one for one in TROUBLES if one.outcome is Outcome.AGAIN)
ERRORS_THAT_MAY_PASS: Final = tuple(error for one in AGAIN for error in one.errors)
_SQLSTATES = tuple(state for one in AGAIN for state in one.sqlstates)
_WORDS = re.compile("|".join(one.words for one in AGAIN if one.words))


class MayPass(OSError):
    """An error of Postgres that may pass: the step is tried again."""


class WillNotPass(RuntimeError):
    """An error of Postgres that will not pass, although psycopg counts it among those of operation."""


@contextmanager
def told_apart() -> Iterator[None]:
    """Tell errors in this block that may pass from those that will not.

    Raises:
        MayPass: instead of an error of Postgres that may pass.
        WillNotPass: instead of one that psycopg would have tried again.
    """
    try:
        yield
    except (psycopg.Error, duckdb.Error) as error:
        said = f"{type(error).__name__}: {error}"
        if may_pass(error):
            raise MayPass(said) from error
        if isinstance(error, psycopg.OperationalError):
            raise WillNotPass(said) from error
        raise


def may_pass(error: BaseException) -> bool:
    """Whether a step that failed with this error of a database is worth another try."""
    if isinstance(error, psycopg.Error):
        state = error.sqlstate
        # Without a code the server said nothing: the connection is gone.
        return isinstance(error, psycopg.OperationalError) if state is None else state.startswith(_SQLSTATES)
    return isinstance(error, duckdb.Error) and bool(_WORDS.search(str(error)))
