"""Why a server cannot be used, in our words: it is away, or it is there and lets the role not in."""

from __future__ import annotations

import re
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

# What a server says for a while: it lets the role in later. The words of the others depend on its language.
_FOR_A_WHILE: Final = re.compile(
    r"the database system is|too many (clients|connections)|remaining connection slots|terminating connection"
)
_PASSWORD: Final = re.compile(r"password authentication failed|no password supplied")
_NO_DATABASE: Final = re.compile(r'FATAL:\s+database "[^"]*" does not exist')


def why_no_connection(url: str, error: psycopg.OperationalError) -> str:
    """Why there is no connection; it never holds the password.

    Args:
        url: of the database that was asked for.
        error: what psycopg says, with host, port and role.
    """
    said = " ".join(str(error).split())
    if "FATAL:" not in said or _FOR_A_WHILE.search(said):
        return said
    named = conninfo_to_dict(url)
    role, database = named.get("user") or "of this machine's user", named.get("dbname") or named.get("user")
    where = f"{named.get('host') or 'localhost'}:{named.get('port') or 5432}"
    answer = said.rpartition("FATAL:")[2].strip()
    if _NO_DATABASE.search(said):
        return f"the server {where} answers, and has no database {database}"
    mend = "the password is another one" if _PASSWORD.search(said) else f"it says: {answer}"
    return f"the server {where} answers, and refused the login of role {role} to database {database}: {mend}"
