"""Who buys: new customers who arrive, and known ones who come back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

import numpy as np

from include.demo_shop.history.calendar import DAY, MINUTE, SECOND, Ints
from include.demo_shop.history.names import CITIES, COUNTRY_WEIGHTS, HOME_WAREHOUSE, STREETS

_ADDRESSES: Final = 4096


@dataclass(frozen=True)
class AddressBook:
    """A pool of addresses; customer number n lives at address ``of(n)``.

    Attributes:
        addresses: each as JSON text: (4096,).
        countries: the country of each.
        warehouses: index of the warehouse that serves each first: (4096,).
    """

    addresses: list[str]
    countries: list[str]
    warehouses: Ints

    @staticmethod
    def of(customers: Ints) -> Ints:
        """The address of each customer, scattered over the pool by a multiplicative hash."""
        return (customers * 2_654_435_761 >> 7) % _ADDRESSES


def address_book(rng: np.random.Generator) -> AddressBook:
    """A pool of addresses in the countries that the shop serves."""
    weights = np.array(list(COUNTRY_WEIGHTS.values()), dtype=float)
    countries = [
        list(COUNTRY_WEIGHTS)[choice] for choice in rng.choice(len(weights), _ADDRESSES, p=weights / weights.sum())
    ]
    houses = rng.integers(1, 200, _ADDRESSES)
    postcodes = rng.integers(10_000, 99_999, _ADDRESSES)
    addresses = [
        json.dumps(
            {
                "street": f"{houses[index]} {STREETS[index % len(STREETS)]}",
                "city": CITIES[country][index % len(CITIES[country])],
                "postcode": str(postcodes[index]),
                "country": country,
            },
            ensure_ascii=False,
        )
        for index, country in enumerate(countries)
    ]
    return AddressBook(
        addresses, countries, np.array([HOME_WAREHOUSE[country] for country in countries], dtype=np.int64)
    )


@dataclass(frozen=True)
class Visitors:
    """The customers behind a day's orders.

    Attributes:
        customers: the customer number of each order, from 1: (orders,).
        newcomers: the numbers that are new today: (newcomers,), ascending without gaps.
        created_at, updated_at: of the newcomers, µs since 1970 UTC.
    """

    customers: Ints
    newcomers: Ints
    created_at: Ints
    updated_at: Ints


def visitors(day: int, known: int, ordered_at: Ints, end: int, rng: np.random.Generator) -> Visitors:
    """Choose who places a day's orders.

    Args:
        day: index of the day; in the first weeks most customers are new.
        known: how many customers there are already.
        ordered_at: when each order is placed, ascending, µs since 1970 UTC.
        end: when the history ends; nothing is written later.
        rng: of this day.
    """
    count = len(ordered_at)
    is_new = rng.random(count) < (0.18 + 0.6 * np.exp(-day / 25.0) if known else 1.0)
    bent = (known * rng.random(count) ** 2.0).astype(np.int64)
    is_regular = rng.random(count) < 0.5  # half of the repeat orders are the early regulars', half recent customers'
    returning = np.where(is_regular, bent, known - 1 - bent) + 1
    numbers = known + np.cumsum(is_new)
    first_ordered_at = ordered_at[is_new]

    silent = int(rng.poisson(0.03 * len(first_ordered_at)))  # they sign up and never order
    born = first_ordered_at - rng.integers(MINUTE, 30 * MINUTE, len(first_ordered_at))
    idle = rng.choice(ordered_at, silent) if count else ordered_at[:0]
    created_at = np.concatenate([born, idle]) // SECOND * SECOND
    moved = rng.random(len(created_at)) < 0.08
    later = created_at + ((end - DAY - created_at) * rng.random(len(created_at))).astype(np.int64)
    return Visitors(
        customers=np.where(is_new, numbers, returning),
        newcomers=known + 1 + np.arange(len(created_at), dtype=np.int64),
        created_at=created_at,
        updated_at=np.where(moved, np.maximum(later, created_at), created_at),
    )
