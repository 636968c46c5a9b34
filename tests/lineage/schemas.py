"""OpenLineage's own JSON schemas, as its project publishes them (openlineage/, Apache License 2.0), and Airflow's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import airflow.providers.openlineage
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

FOLDER = Path(__file__).parent / "openlineage"
_OF_AIRFLOW = Path(airflow.providers.openlineage.__path__[0]) / "facets"
_EVENT = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"


@cache
def _registry() -> Registry[Any]:
    """Every schema by its address; nothing is fetched."""
    own = [json.loads(file.read_text()) for file in sorted(FOLDER.rglob("*.json"))]
    assert len(own) >= 39
    known = [(schema["$id"], Resource.from_contents(schema)) for schema in own]
    known += [(file.name, Resource.from_contents(json.loads(file.read_text()))) for file in _OF_AIRFLOW.glob("*.json")]
    return Registry().with_resources(known)


def _validator(address: str) -> Draft202012Validator:
    return Draft202012Validator(
        {"$ref": address}, registry=_registry(), format_checker=Draft202012Validator.FORMAT_CHECKER
    )


def faults(event: Mapping[str, Any]) -> list[str]:
    """What is wrong with an event, by OpenLineage's schema, and with its facets, each by the schema that it names."""
    found = [f"{error.json_path}: {error.message}" for error in _validator(_EVENT).iter_errors(event)]
    for name, facet in facets(event):
        address, _, place = str(facet["_schemaURL"]).partition("#")
        if not address.startswith("https://openlineage.io/"):
            address = address.rpartition("/")[2]
        if address not in _registry():
            found.append(f"{name}: there is no schema {address}")
            continue
        errors = _validator(f"{address}#{place}").iter_errors({name: facet} if not place else facet)
        found += [f"{name}{error.json_path[1:]}: {error.message}" for error in errors]
    return found


def facets(event: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every facet of an event, with its name."""
    holders = [event["run"], event["job"], *event.get("inputs", []), *event.get("outputs", [])]
    for holder in holders:
        for kind in ("facets", "inputFacets", "outputFacets"):
            yield from (holder.get(kind) or {}).items()
