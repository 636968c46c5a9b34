"""One lake, one shop: whose copy the lake holds is written beside it, and a night of another shop is refused.

A shop is known by its folder, its database and its statements. Each of them may change: a folder is renamed, a database
moves, a file is written anew. Where all three are others, it is another shop. So it is where the same folder reads a
database of another name or place that is no standby of the one before: two shops of one platform have the same files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import InsufficientPrivilege

from include.contract import ContractError, Type
from include.contract.definition import SourceDefinition
from include.contract.types import DECIMALS, UNIT_DECIMALS
from include.extract.sql_files import is_empty
from include.extract.statements import shop_connection
from include.lake import storage
from include.ledger import copies
from include.settings import settings
from include.sources.shop_file import ShopFile

FILE: Final = "shop.json"
_IDENTITY: Final = """
select system_identifier || '/' || pg_database.oid
from pg_control_system(), pg_database
where datname = current_database()
"""


class OtherDecimals(ContractError):
    """The lake counts amounts, or units, otherwise than the shop's folder says; the message names both."""


class OtherShop(ContractError):
    """The lake, or the warehouse, is another shop's; the message names both."""


@dataclass(frozen=True)
class Shop:
    """What a shop is known by.

    Attributes:
        folder: the name of its folder of .sql files.
        database: its database and where that is, without a role or a password.
        statements: a digest of the statement of every source.
        decimals: of its amounts in the lake.
        unit_decimals: of its quantities there.
        identity: of its database, the same on a standby; None where it could not be asked.
    """

    folder: str
    database: str
    statements: Mapping[str, str]
    decimals: int = DECIMALS
    unit_decimals: int = UNIT_DECIMALS
    identity: str | None = None

    def __str__(self) -> str:
        """It in a sentence."""
        return f"{self.folder} ({self.database})"

    def is_other_than(self, shop: Shop) -> bool:
        """Whether nothing of it is the same, or its files read a database elsewhere that is not the same."""
        if self.database == shop.database:
            return False
        shared = set(self.statements.items()) & set(shop.statements.items())
        if not shared and self.folder != shop.folder:
            return True
        return None not in (self.identity, shop.identity) and self.identity != shop.identity


def refuse_other_shop(definitions: Mapping[str, SourceDefinition]) -> None:
    """Refuse a lake that holds the copy of another shop, and a warehouse that was made from one.

    Args:
        definitions: what decides the rows of every source of this shop now.

    Raises:
        OtherDecimals: naming both numbers, and what to do.
        OtherShop: naming both shops, and what to do.
    """
    now, kept = _shop(definitions), _kept()
    file = _file()
    if kept is not None and kept.is_other_than(now):
        raise OtherShop(_refusal(f"the lake {settings().lake} holds the copy of the shop {kept}", now, file))
    if other := other_decimals():
        raise OtherDecimals(other)
    if kept is not None:
        return
    if storage.exists(file):  # emptied by a person, who knows that it is the same shop
        return
    copied = {name: one.statement if one else None for name, one in copies.definitions().items()}
    if copied and None not in copied.values() and not set(copied.items()) & set(now.statements.items()):
        raise OtherShop(
            _refusal("the warehouse holds what was published from the statements of another shop", now, file)
        )


def other_decimals() -> str | None:
    """Why nothing may be read from the lake or written to it: it counts otherwise; None where it does not.

    Amounts that have fewer decimals are carried over: a version says how many it has (``lake.rows``).
    """
    definitions = copies.definitions()
    if not definitions:
        return None
    kept, said = _kept(), ShopFile.of(settings().sources)
    # A lake that was lost, or whose shop.json was emptied: the ledger knows as well.
    amounts = kept.decimals if kept else _counted(definitions, Type.CENTS, DECIMALS)
    units = kept.unit_decimals if kept else _counted(definitions, Type.UNITS, UNIT_DECIMALS)
    refused = ""
    if amounts > said.decimals:
        refused = _says("amounts", "money", amounts, said.decimals, "amounts would be rounded")
    elif amounts < said.decimals and units:
        why = "what a part of a unit comes to would be rounded otherwise than before"
        refused = _says("amounts", "money", amounts, said.decimals, why)
    elif units != said.unit_decimals:
        why = "all that nights have kept would be read wrong"
        refused = _says("units", "units", units, said.unit_decimals, why)
    return refused or None


def _says(what: str, table: str, counted: int, said: int, why: str) -> str:
    return (
        f"the lake {settings().lake} counts {what} with {counted} decimals, and shop.toml says {said}: {why}; nothing"
        f" is written. Write `decimals = {counted}` below [{table}], or give the shop a new lake and a new warehouse:"
        " name others in STOCKTAKE_LAKE and STOCKTAKE_WAREHOUSE_URL"
    )


def _counted(definitions: Mapping[str, SourceDefinition | None], kind: Type, usual: int) -> int:
    """The decimals of a kind of value in the copies that the ledger knows."""
    of_kind = re.compile(rf"{kind}\b.*\b(\d) decimals")
    columns = [said for one in definitions.values() if one for said in one.columns.values()]
    found = {int(match[1]) for said in columns if (match := of_kind.match(said))}
    return max(found, default=usual)


def keep_shop(definitions: Mapping[str, SourceDefinition]) -> None:
    """Write down that the lake holds the copy of this shop."""
    storage.write(_file(), f"{json.dumps(asdict(_shop(definitions)), indent=1)}\n".encode())


def _refusal(held: str, now: Shop, file: str) -> str:
    return (
        f"{held}, and this night would read {now} into it; nothing is written. Give each shop a lake and a warehouse of"
        " its own: leave STOCKTAKE_LAKE and STOCKTAKE_WAREHOUSE_URL out, or name others. If it is the same shop after"
        f" all, empty the file {file}"
    )


def _shop(definitions: Mapping[str, SourceDefinition]) -> Shop:
    where = conninfo_to_dict(settings().shop_url.get_secret_value())
    database = f"database {where.get('dbname', '')} at {where.get('host', 'localhost')}:{where.get('port', 5432)}"
    # An optional source without a file has the same statement in every shop.
    statements = {name: one.statement for name, one in definitions.items() if not is_empty(name)}
    said = ShopFile.of(settings().sources)
    return Shop(settings().sources.name, database, statements, said.decimals, said.unit_decimals, _identity())


def _identity() -> str | None:
    """What a shop's database is told from any other by; None where the reader may not ask."""
    with shop_connection() as shop:
        try:
            row = shop.execute(_IDENTITY).fetchone()
        except InsufficientPrivilege:
            return None
    return row[0] if row else None


def _file() -> str:
    return storage.in_lake(FILE)


def _kept() -> Shop | None:
    """The shop whose copy the lake holds; None where that is not written down."""
    try:
        return Shop(**json.loads(storage.read(_file())))
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        return None
