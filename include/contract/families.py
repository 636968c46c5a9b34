"""How rows of different sources depend on each other: parts and their wholes, and what derived columns need.

A family is a row and its parts, and their parts: an order, its lines, refunds, payments and shipments. It is checked
together.
What a derived column needs of other rows must be in the family, or the declaration says how it is found: otherwise a
row would keep the verdict of the night on which it was last read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from include.contract.derived import Derived
from include.contract.rules import ContractError
from include.contract.source import Source

_READ = re.compile(r"\b(?:from|join)\s+(\w+)")  # in the SQL of a derived column


def part_links(sources: Mapping[str, Source]) -> Sequence[tuple[str, str, str]]:
    """Links of a source to the source it is part of, as (child, its column, parent); parents before their parts."""
    links = [
        (name, column.name, column.key_of)
        for name, source in sources.items()
        for column in source.columns
        if column.part_of and column.key_of and column.key_of in sources
    ]
    children = {child: parent for child, _, parent in links}

    def depth(name: str) -> int:
        return 1 + depth(children[name]) if name in children else 0

    return sorted(links, key=lambda link: depth(link[0]))


def check_needs(sources: Mapping[str, Source]) -> None:
    """Check that a change of whatever a derived column needs has the row checked again.

    Raises:
        ContractError: naming the column, and what it needs that would not.
    """
    parents = {child: parent for child, _, parent in part_links(sources)}

    def family(name: str) -> str:
        return family(parents[name]) if name in parents else name

    for source in sources.values():
        for derived in source.derived:
            column = f"{source.name}.{derived.column.name}"
            said = derived.in_place(f"{derived.sql} {derived.where_rounded}")
            read = {name for name in _READ.findall(said) if name in sources}
            for need in sorted({*derived.needs, *read}):
                if need in derived.through:
                    _check_path(sources, source, derived, need)
                elif not source.judged_whole and not (
                    family(need) == family(source.name) and (need != source.name or need in parents)
                ):
                    raise ContractError(
                        f"{column} needs {need}, and a change there would not have the row checked again: say in"
                        " through which column leads to it, or have the source judged whole"
                    )
            if unknown := sorted(set(derived.through) - set(derived.needs)):
                raise ContractError(f"{column}: through names {', '.join(unknown)}, which it does not need")


def _check_path(sources: Mapping[str, Source], source: Source, derived: Derived, need: str) -> None:
    path = derived.through[need]
    column, _, by_way_of = path.partition("@")
    held_in = [source.name, by_way_of or need]
    shared = sources[by_way_of].primary_key if by_way_of in sources else ()
    known = all(name in sources and column in {one.name for one in sources[name].columns} for name in held_in)
    reached = not by_way_of or (
        len(shared) == 1 and need in sources and shared[0] in {one.name for one in sources[need].columns}
    )
    if not (known and reached):
        raise ContractError(f"{source.name}.{derived.column.name}: {path!r} leads from no row of {need} to its own")
