"""What is declared of this shop's tables and sources, and what of it changed since the copy was made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from include.contract import Source, Table
from include.contract.definition import Changes, SourceDefinition
from include.extract import sql_files
from include.ledger import copies
from include.settings import settings
from include.sources import shop_tables


def typed(tables: Iterable[Table]) -> list[Table]:
    """Published tables as this shop has them: with its key types, its decimals and its dimensions.

    Raises:
        ContractError: when a dimension of the shop has the name of a column that a table has anyway.
    """
    return shop_tables(tables, settings().sources)


def changed_definitions(
    sources: Mapping[str, Source], statements: Mapping[str, str]
) -> tuple[dict[str, SourceDefinition], dict[str, Changes]]:
    """What decides the rows of every source's copy now, and what of it changed since the copy was made.

    Args:
        sources: the shop's sources.
        statements: the shop's SQL of each.

    Returns:
        Per source its definition; and per source of which there is a copy of another definition, what changed.
    """
    copied = copies.definitions()
    now = {
        name: SourceDefinition.of(source, statements[name], sources, settings().timezone)
        for name, source in sources.items()
    }
    changes = {name: Changes.between(copied[name], one) for name, one in now.items() if name in copied}
    return now, {name: one for name, one in changes.items() if one.all}


def other_definitions(sources: Mapping[str, Source]) -> str:
    """What of the sources is read or derived otherwise than in the copy that there is; nothing where nothing is.

    Rules may be others: a replay checks what is in quarantine by those of now.
    """
    _, changes = changed_definitions(sources, sql_files.statements(sources.values()))
    return "; ".join(
        f"{name}: {', '.join([*one.read, *one.derived])}" for name, one in changes.items() if one.read or one.derived
    )


def other_sources(sources: Iterable[str], publication: int) -> str:
    """The sources that the shop has now and had not when a publication was read, or the other way round."""
    return ", ".join(sorted(set(sources) ^ set(copies.published_versions(publication))))
