"""The kits that the simulated shop sells: listed on its last day, so that none was sold before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from include.demo_shop.history import columns as to
from include.demo_shop.history.calendar import HOUR, Calendar, Ints
from include.demo_shop.history.catalogue import Assortment
from include.demo_shop.history.loading import Loader
from include.demo_shop.history.orders import In

_NAMES: Final = ("Starter kit", "Family kit", "Gift set")
_IN_ANOTHER: Final = (0, 1)  # the first kit is in the second
_MOST_COMPONENTS: Final = 4
_OFF: Final = 10  # per cent cheaper than the parts of it


@dataclass(frozen=True)
class Kits:
    """What kits are made of; the first kit has the number after the last product's.

    Attributes:
        kit, component: numbers of products, from 0: (rows,).
        units: of the component in one kit: (rows,).
        prices, costs: of each kit, in cents of EUR: (kits,).
    """

    kit: Ints
    component: Ints
    units: Ints
    prices: Ints
    costs: Ints


def kits(goods: Assortment, last_day: int, rng: np.random.Generator) -> Kits:
    """Kits of products that are offered on a day, one of them with another kit in it.

    Args:
        goods: the products.
        last_day: the day on which the kits are listed.
        rng: of the kits alone.
    """
    offered, first = np.flatnonzero(goods.is_offered(last_day)), len(goods.skus)
    prices, costs = list(goods.prices[last_day]), list(goods.costs[last_day])
    rows: list[tuple[int, int, int]] = []
    for number in range(len(_NAMES)):
        chosen = rng.choice(offered, min(_MOST_COMPONENTS, len(offered)), replace=False)
        parts = [(int(component), int(rng.integers(1, 4))) for component in chosen]
        parts += [(first + _IN_ANOTHER[0], 1)] if number == _IN_ANOTHER[1] else []
        rows += [(first + number, component, units) for component, units in parts]
        prices.append(sum(prices[component] * units for component, units in parts) * (100 - _OFF) // 100)
        costs.append(sum(costs[component] * units for component, units in parts))
    kit, component, units = np.array(rows, dtype=np.int64).T
    return Kits(kit, component, units, np.array(prices[first:]), np.array(costs[first:]))


def write_kits(loader: Loader, made: Kits, calendar: Calendar) -> None:
    """Write the kits as products, and what they are made of.

    Args:
        loader: of the shop, to which the other products were written.
        made: the kits.
        calendar: of the past.
    """
    count = len(made.prices)
    if not count:
        return
    numbers = np.arange(made.kit.min(), made.kit.min() + count)
    listed_at = np.full(count, calendar.starts[calendar.days - 1] + 8 * HOUR)
    loader.write(
        "products",
        {
            "product_id": to.whole(numbers + 1),
            "sku": pa.array([f"KIT-{number + 1:05d}" for number in numbers]),
            "name": pa.array(_NAMES[:count]),
            "category": pa.array(["Kits"] * count),
            "unit_cost": to.money(made.costs, In.EUR),
            "unit_price": to.money(made.prices, In.EUR),
            "is_active": to.flags(np.ones(count, dtype=np.bool_)),
            "created_at": to.instants(listed_at),
            "updated_at": to.instants(listed_at),
            "price_currency": pa.array(["EUR"] * count),
            "price_includes_tax": to.flags(np.zeros(count, dtype=np.bool_)),
        },
    )
    loader.write(
        "kit_components",
        {
            "product_id": to.whole(made.kit + 1),
            "component_id": to.whole(made.component + 1),
            "units_per_kit": to.whole(made.units),
            "updated_at": to.instants(np.full(len(made.kit), listed_at[0])),
        },
    )
