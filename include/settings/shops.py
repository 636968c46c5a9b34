"""Which shops a deployment has, and whose settings count at this moment.

A deployment of one shop names none. One of several names them in ``STOCKTAKE_SHOPS``: each has its own DAGs
(``nightly__berlin``) and its own ``STOCKTAKE_BERLIN__<SETTING>``. Whose settings count is said once, where work for a
shop begins: by a DAG's file, by the first thing that a task does, by a page's address, by ``STOCKTAKE_SHOP``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, update_wrapper
from typing import Annotated, Final, Generic, TypeVar

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from include.settings.values import FROM_JSON, PREFIX, FromEnvironment

_BETWEEN: Final = "__"  # a DAG and its shop, a shop and its setting
_NAME: Final = re.compile(r"[a-z](_?[a-z0-9])*")
_PROCESS: Final = f"{PREFIX}SHOP"  # a variable, so that what a process starts works for the same shop
_T = TypeVar("_T")
_current: ContextVar[str | None] = ContextVar("shop", default=None)


class UnknownShop(ValueError):
    """Nothing says whose settings count, or they are of a shop that there is not; the message says what there is."""


class WrongShops(ValueError):
    """The settings of several shops do not go together; the message names the variables."""


class ShopNames(FromEnvironment):
    """The names alone, which can be read before anything else."""

    shops: Annotated[tuple[str, ...], FROM_JSON, NoDecode] = Field(
        default=(),
        description='The shops of one Airflow, where there are several: ["berlin", "lima"]. Each has DAGs of its own, '
        "nightly__berlin, and says what it has for itself as STOCKTAKE_BERLIN__SHOP_URL, STOCKTAKE_BERLIN__TIMEZONE.",
    )

    @field_validator("shops")
    @classmethod
    def _names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a shop: letters a to z, digits and single _, as in north_1")
        if len(set(value)) < len(value):
            raise ValueError("a shop is named twice")
        return value


@cache
def shop_names() -> tuple[str, ...]:
    """The shops that the deployment names; none where there is one alone."""
    return ShopNames().shops


def current_shop() -> str | None:
    """The shop whose settings count here; None in a deployment of one shop.

    Raises:
        UnknownShop: where several are named and nothing says which one counts, or it is not among them.
    """
    shop = _current.get() or os.environ.get(_PROCESS) or None
    if shop is None and not shop_names():
        return None
    if shop not in shop_names():
        there = ", ".join(shop_names()) or "none"
        said = f"there is no shop {shop}" if shop else f"nothing says which shop is meant: set {_PROCESS} to one"
        raise UnknownShop(f"{said}; STOCKTAKE_SHOPS names {there}")
    return shop


def shop_in_context() -> str | None:
    """The shop of the block or task that this is called in, whatever the process has entered; None outside of any."""
    return _current.get()


@contextmanager
def of_shop(shop: str | None) -> Iterator[None]:
    """Have a shop's settings count in this block, and in what it awaits; those of the process where it is None."""
    token = _current.set(shop)
    try:
        yield
    finally:
        _current.reset(token)


def use_shop(shop: str | None) -> None:
    """Have a shop's settings count in the rest of this asynchronous task."""
    _current.set(shop)


def enter_shop(shop: str | None) -> None:
    """Have a shop's settings count in all of this process, its threads, and in what it starts."""
    if shop is not None:
        os.environ[_PROCESS] = shop


def dag_id_of(dag: str) -> str:
    """What Airflow calls a DAG of the shop that counts: ``nightly__berlin``; ``nightly`` where there is one shop."""
    shop = current_shop()
    return dag if shop is None else f"{dag}{_BETWEEN}{shop}"


def shop_of(dag_id: str) -> str | None:
    """The shop of a DAG, by what Airflow calls it; None where it is no DAG of a shop."""
    _, between, shop = dag_id.rpartition(_BETWEEN)
    return shop if between and shop in shop_names() else None


def dag_of(dag_id: str) -> str:
    """What the ledger of its shop calls a DAG: ``nightly``."""
    shop = shop_of(dag_id)
    return dag_id if shop is None else dag_id.removesuffix(f"{_BETWEEN}{shop}")


def prefix_of(shop: str) -> str:
    """What the variables of a shop's own settings begin with: ``STOCKTAKE_BERLIN__``."""
    return f"{PREFIX}{shop.upper()}{_BETWEEN}"


class PerShop(Generic[_T]):
    """A function without arguments that reads once for each shop, and then remembers; a decorator.

    Two threads that ask at once for the first time may both read; one of the two results is kept.
    """

    def __init__(self, read: Callable[[], _T]) -> None:
        """Remember what a function gives."""
        update_wrapper(self, read)
        self._read = read
        self._kept: dict[str | None, _T] = {}

    def __call__(self) -> _T:
        """What it gave for the shop that counts."""
        shop = current_shop()
        if shop not in self._kept:
            self._kept[shop] = self._read()
        return self._kept[shop]

    def cache_clear(self) -> None:
        """Forget, as what ``functools.cache`` makes does."""
        self._kept.clear()
