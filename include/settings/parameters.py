"""What a shop may see differently: lead times, service levels, class limits."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_settings import NoDecode

from include.settings.values import FROM_JSON, FromEnvironment


class Parameters(FromEnvironment):
    """What a shop may see differently: lead times, service levels, class limits, stages. Variables as above.

    Published columns quote these numbers in their comments. Here belongs what a shop may change without a column being
    called otherwise; the length of a window that is part of a column's name does not.

    Raises:
        pydantic.ValidationError: naming the variable, when a value is malformed or limits are not in order.
    """

    active_days: int = Field(default=90, ge=1, description="An order within so many days makes a customer active.")
    lapsed_days: int = Field(default=365, ge=1, description="No order for longer than this makes a customer lapsed.")
    cohort_months: int = Field(
        default=24, ge=1, description="How many months after their first order a cohort is followed."
    )
    lead_time_days: int = Field(
        default=7, ge=0, description="Days from ordering goods to having them on the shelf, on average."
    )
    lead_time_days_std: int = Field(default=2, ge=0, description="Standard deviation of that, in days.")
    service_level_z: float = Field(
        default=1.645,
        ge=0,
        description="Standard normal quantile of the share of replenishments that shall arrive before the shelf is "
        "empty: 1.645 is 95 %.",
    )
    cover_days: int = Field(default=28, ge=0, description="Days of demand that an order lasts beyond its lead time.")
    overstock_days: int = Field(default=90, ge=1, description="More days of supply than this are too many.")
    dead_stock_days: int = Field(default=90, ge=1, description="Stock of which nothing sold for so long is dead.")
    abc_a_percent: int = Field(
        default=80, ge=1, le=100, description="Products up to this share of net sales, largest first, are class A."
    )
    abc_b_percent: int = Field(default=95, ge=1, le=100, description="Those after them up to this share are class B.")
    xyz_x: float = Field(
        default=0.5, ge=0, description="The most that weekly units of class X vary (coefficient of variation)."
    )
    xyz_y: float = Field(default=1.0, ge=0, description="The same for class Y.")
    adi_cut: float = Field(
        default=1.32, ge=1, description="Average demand interval from which demand is intermittent: Syntetos-Boylan's."
    )
    cv2_cut: float = Field(
        default=0.49, ge=0, description="Squared variation of the sizes from which demand is erratic: theirs too."
    )
    on_time_hours: int = Field(default=48, ge=1, description="Hours within which an order should leave the warehouse.")
    out_of_stock_reasons: Annotated[tuple[str, ...], FROM_JSON, NoDecode] = Field(
        default=("out_of_stock",), description="Cancellation reasons that mean that the goods were not there."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        pairs = (("active_days", "lapsed_days"), ("abc_a_percent", "abc_b_percent"), ("xyz_x", "xyz_y"))
        for lesser, greater in pairs:
            least, most = getattr(self, lesser), getattr(self, greater)
            if least > most:
                raise ValueError(f"{lesser} ({least}) is more than {greater} ({most})")
        return self
