"""Which article numbers the simulated products had, and when: some get another one, some that of a product now gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from include.demo_shop.history import columns as to
from include.demo_shop.history.calendar import Ints
from include.demo_shop.history.catalogue import Assortment

_RENUMBERED: Final = 0.03  # of the products that are still sold


@dataclass(frozen=True)
class ArticleNumbers:
    """The article number of every product on every day.

    Attributes:
        first: what each had when it was listed: (products,).
        now: what each has in the end: (products,).
        since: the first day, as a day index, on which it is what it is in the end: (products,); 0 where it always was.
    """

    first: Sequence[str]
    now: Sequence[str]
    since: Ints

    def on(self, day: int | Ints, product: Ints) -> Any:
        """The numbers of some products on a day, or each on a day of its own, as text."""
        is_now = self.since[product] <= day
        return to.words(np.where(is_now, product + len(self.first), product), [*self.first, *self.now])


def article_numbers(goods: Assortment, days: int, rng: np.random.Generator) -> ArticleNumbers:
    """Give some products another number on some day, and that of each product that was dropped to one that was not.

    Args:
        goods: the products, with the numbers that they had first.
        days: how many days the past has.
        rng: of the numbers alone.
    """
    now, since = list(goods.skus), np.zeros(len(goods.skus), dtype=np.int64)
    stays = rng.permutation(np.flatnonzero(goods.farewell > days))
    gone = np.flatnonzero(goods.farewell < days)
    few = max(1, int(len(stays) * _RENUMBERED))
    heirs = stays[few : few + len(gone)]
    for product in stays[:few]:
        now[product] = f"{goods.skus[product]}-B"
        since[product] = rng.integers(min(goods.launch[product] + 1, days - 1), days)
    for product, before in zip(heirs, gone, strict=False):
        now[product] = goods.skus[before]
        since[product] = rng.integers(goods.farewell[before], days)
    return ArticleNumbers(goods.skus, now, since)
