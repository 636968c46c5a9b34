"""What a shop may see differently: lead times, service levels, class limits, stages. Every default and unit is here.

Belongs here: numbers that a table's doc quotes and a shop may change. Does not: the length of a window that is part of
a column's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Parameters:
    """One shop's choices.

    Attributes:
        active_days: an order within so many days makes a customer active.
        lapsed_days: no order for longer than so many days makes one lapsed.
        cohort_months: how many months after their first order a cohort is followed.
        lead_time_days: days from ordering goods to having them on the shelf, on average.
        lead_time_days_std: standard deviation of that, in days.
        service_level_z: standard normal quantile of the share of replenishments that shall arrive before the shelf is
            empty: 1.645 is 95 %.
        cover_days: days of demand that an order shall last beyond its lead time.
        overstock_days: more days of supply than this are too many.
        dead_stock_days: stock of which nothing was sold for so many days is dead.
        abc_a_percent: products up to this share of net sales, largest first, are class A.
        abc_b_percent: those after them up to this share are class B.
        xyz_x: the most that weekly units of class X may vary (coefficient of variation).
        xyz_y: the same for class Y.
        adi_cut: average demand interval from which demand is intermittent: Syntetos and Boylan's 1.32.
        cv2_cut: squared coefficient of variation of the sizes from which demand is erratic: their 0.49.
        on_time_hours: hours within which an order should leave the warehouse.
        out_of_stock_reasons: the cancellation reasons that mean that the goods were not there.
    """

    active_days: int = 90
    lapsed_days: int = 365
    cohort_months: int = 24
    lead_time_days: int = 7
    lead_time_days_std: int = 2
    service_level_z: float = 1.645
    cover_days: int = 28
    overstock_days: int = 90
    dead_stock_days: int = 90
    abc_a_percent: int = 80
    abc_b_percent: int = 95
    xyz_x: float = 0.5
    xyz_y: float = 1.0
    adi_cut: float = 1.32
    cv2_cut: float = 0.49
    on_time_hours: int = 48
    out_of_stock_reasons: tuple[str, ...] = ("out_of_stock",)


PARAMETERS: Final = Parameters()
