"""docker-compose.yaml as Docker reads it: variables of ``.env`` put in, services by profile."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from include.settings import ROOT

PORT: Final = re.compile(r"(?:port[= ]|address=:)(\d+)")  # one that a command says to listen on
FILE: Final = ROOT / "docker-compose.yaml"
# ${NAME}, ${NAME:?message}, ${NAME:-default}, of which a default may hold another; $$ is a dollar.
_VARIABLE: Final = re.compile(r"\$\$|\$\{(?P<name>\w+)(?::(?P<kind>[?-])(?P<other>(?:[^{}]|\$\{[^{}]*\})*))?\}")


_OF_A_SHOP: Final = re.compile(r"STOCKTAKE_[A-Z0-9_]+?__")  # stands in shops.env


class UndefinedVariable(ValueError):
    """A variable that must be given is not."""


@dataclass(frozen=True)
class Service:
    """A service as it is started.

    Attributes:
        name: its name in the file.
        command: the program and its arguments, entry point and all.
        environment: every variable that it has.
        volumes: where its volumes are mounted, with their names; an empty one is the container's own.
        memory: folders that are in memory.
        files: files of this project, by where they are mounted.
        health: the program that says whether it is well; None: none does.
        waits_for: the services that are to be well, or done, before it starts.
        ends: whether it ends by itself.
        replicas: how many of it there are.
        ours: whether it runs the image that this project builds.
    """

    name: str
    command: list[str]
    environment: Mapping[str, str] = field(repr=False)
    volumes: Mapping[str, str]
    memory: list[str]
    files: Mapping[str, Path]
    health: list[str] | None
    waits_for: list[str]
    ends: bool
    replicas: int
    ours: bool


def services(variables: Mapping[str, str], profiles: Collection[str]) -> dict[str, Service]:
    """The services of these profiles, and those that belong to none, each after those that it waits for.

    Args:
        variables: what ``.env`` says, and ``shops.env``.
        profiles: some of the file's.

    Raises:
        UndefinedVariable: when the file wants a variable that is not given.
    """
    document = _filled_in(yaml.safe_load(FILE.read_text()), variables)
    configs = {name: ROOT / said["file"] for name, said in document["configs"].items()}
    found = {
        name: _service(name, said, variables, configs)
        for name, said in document["services"].items()
        if not said.get("profiles") or {*said["profiles"]} & {*profiles}
    }
    ordered: dict[str, Service] = {}
    while missing := [one for one in found.values() if one.name not in ordered]:
        ordered |= {one.name: one for one in missing if {*one.waits_for} & {*found} <= {*ordered}}
    return ordered


def variables_of(text: str) -> dict[str, str]:
    """The variables that a text names: ``?`` where one must be given, ``-`` where it has a default, else nothing."""
    found: dict[str, str] = {}
    for match in _VARIABLE.finditer(text):
        if match["name"]:
            found |= {match["name"]: match["kind"] or "", **variables_of(match["other"] or "")}
    return found


def unread(text: str) -> str:
    """A text without what Docker puts something in for, and without dollars that are meant."""
    return _VARIABLE.sub("", text)


def postgres_settings() -> dict[str, str]:
    """What the service postgres says of its server."""
    words = yaml.safe_load(FILE.read_text())["services"]["postgres"]["command"]
    return dict(word.split("=") for word in words if "=" in word)


def image_file(path: str) -> str:
    """What the image's build writes into a file."""
    found = re.search(rf"echo '(?P<text>[^']*)' > {re.escape(path)}", (ROOT / "Dockerfile").read_text())
    if found is None:
        raise ValueError(f"the image's build writes no {path}")
    return found["text"]


def _service(name: str, said: Mapping[str, Any], variables: Mapping[str, str], configs: Mapping[str, Path]) -> Service:
    given: dict[str, str | None] = {
        variable: variables.get(variable) if value is None else str(value)
        for variable, value in (said.get("environment") or {}).items()
    }
    if said.get("env_file"):
        given = {**{name: value for name, value in variables.items() if _OF_A_SHOP.match(name)}, **given}
    command = [*_words(said.get("entrypoint")), *_words(said.get("command"))]
    health = said["healthcheck"].get("test")
    if health is not None:
        health = ["sh", "-c", health[1]] if health[0] == "CMD-SHELL" else health[1:]
    return Service(
        name,
        command,
        {variable: value for variable, value in given.items() if value is not None},
        {target: source for source, target in map(_mounted, said["volumes"])},
        [folder.partition(":")[0] for folder in said["tmpfs"]],
        {config["target"]: configs[config["source"]] for config in said.get("configs", [])},
        health,
        [*said.get("depends_on", {})],
        said["restart"] == "no",
        said["deploy"].get("replicas", 1),
        "build" in said,
    )


def _mounted(volume: str) -> tuple[str, str]:
    source, between, target = volume.partition(":")
    return (source, target) if between else ("", source)


def _words(said: str | list[str] | None) -> list[str]:
    return shlex.split(said) if isinstance(said, str) else [str(word) for word in said or ()]


def _filled_in(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled_in(part, variables) for name, part in value.items()}
    if isinstance(value, list):
        return [_filled_in(part, variables) for part in value]
    return _VARIABLE.sub(lambda found: _value(found, variables), value) if isinstance(value, str) else value


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    if found[0] == "$$":
        return "$"
    if value := variables.get(found["name"]):
        return value
    if found["kind"] == "?":
        raise UndefinedVariable(f"{found['name']} {found['other']}")
    return str(_filled_in(found["other"] or "", variables))
