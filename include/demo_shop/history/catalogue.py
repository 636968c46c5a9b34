"""What the simulated shop sells: products, their popularity, and their prices day by day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from include.demo_shop.history.calendar import DAY, HOUR, Calendar, Floats, Ints
from include.demo_shop.history.names import CATEGORIES, VARIANTS

_CHANGES_PER_YEAR = 3.0
_LAUNCHED_LATER = 0.10
_DISCONTINUED = 0.03


@dataclass(frozen=True)
class Assortment:
    """Every product the shop ever sold; product number i has key i + 1.

    Attributes:
        names, skus, categories: what each is called, and its first article number: (products,).
        groups: what each is a variant of, as key and name: (products,).
        popularity: share of the lines that each would have if all were offered: (products,), sums to 1.
        prices, costs: of one unit on each day, in cents of EUR: (days, products).
        launch, farewell: first day offered and first day no longer offered, as day indices: (products,).
        created_at, updated_at: µs since 1970 UTC: (products,).
    """

    names: list[str]
    skus: list[str]
    categories: list[str]
    groups: list[tuple[str, str]]
    popularity: Floats
    prices: Ints
    costs: Ints
    launch: Ints
    farewell: Ints
    created_at: Ints
    updated_at: Ints

    def is_offered(self, day: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which products can be bought on a day: (products,)."""
        return (self.launch <= day) & (day < self.farewell)


def assortment(calendar: Calendar, products: int, rng: np.random.Generator) -> Assortment:
    """Products with Zipf-like popularity, prices that change now and then, some launched later, a few dropped."""
    days = calendar.days
    numbers = range(products)
    categories = list(CATEGORIES)
    category = [categories[number % len(categories)] for number in numbers]
    popularity = rng.permutation(1.0 / (np.arange(products) + 3.0) ** 0.9)

    launch = np.where(rng.random(products) < _LAUNCHED_LATER, rng.integers(0, 1 + days * 6 // 10, products), 0)
    leaves = rng.random(products) < _DISCONTINUED
    farewell = np.where(leaves, rng.integers(1 + days * 7 // 10, days + 1, products), days + 1)
    launch[0], farewell[0] = 0, days + 1  # there is always something to buy
    prices, costs, changed = _prices(days, products, rng)

    first_start = calendar.starts[launch]
    age = np.where(launch == 0, rng.integers(0, 300, products), 0) * DAY
    created_at = first_start - 3 * DAY - age - rng.integers(0, 8 * HOUR, products)
    last_change = np.where(changed >= 0, calendar.starts[np.maximum(changed, 0)], created_at)
    left_at = np.where(farewell < days, calendar.starts[np.minimum(farewell, days)], created_at)
    return Assortment(
        names=[_name(category[number], number) for number in numbers],
        skus=[f"{category[number][:3].upper()}-{number + 1:05d}" for number in numbers],
        categories=category,
        groups=[_group(category[number], number) for number in numbers],
        popularity=popularity / popularity.sum(),
        prices=prices,
        costs=costs,
        launch=launch.astype(np.int64),
        farewell=farewell.astype(np.int64),
        created_at=created_at,
        updated_at=np.maximum(created_at, np.maximum(last_change, left_at)),
    )


def _name(category: str, number: int) -> str:
    kinds = CATEGORIES[category]
    turn = number // len(CATEGORIES)
    return f"{VARIANTS[turn // len(kinds) % len(VARIANTS)]} {kinds[turn % len(kinds)]} No. {number + 1}"


def _group(category: str, number: int) -> tuple[str, str]:
    """The goods of one kind, of which each product is a variant."""
    kinds = CATEGORIES[category]
    kind = number // len(CATEGORIES) % len(kinds)
    return f"{category}-{kind + 1}", kinds[kind]


def _prices(days: int, products: int, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """Prices and costs in cents (days, products), and the last day on which each changed, −1 if none (products,)."""
    base = np.clip(rng.lognormal(np.log(1900.0), 0.8, products), 250.0, 30_000.0)
    margin = rng.uniform(0.35, 0.70, products)
    changes = rng.random((days, products)) < _CHANGES_PER_YEAR / 365.25
    changes[0] = False
    factors = np.where(changes, rng.lognormal(0.02, 0.08, (days, products)), 1.0)
    cost_moves = changes & (rng.random((days, products)) < 0.5)
    cost_factors = np.where(cost_moves, rng.lognormal(0.02, 0.05, (days, products)), 1.0)
    prices = (np.round(base * np.cumprod(factors, axis=0) / 50.0) * 50 - 1).astype(np.int64)
    costs = np.round(base * (1 - margin) * np.cumprod(cost_factors, axis=0)).astype(np.int64)
    last = np.where(changes.any(axis=0), days - 1 - np.argmax(changes[::-1], axis=0), -1)
    return np.maximum(prices, 99), np.maximum(costs, 1), last
