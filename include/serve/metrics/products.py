"""Which products sell, and which sell more or less than a week ago."""

from __future__ import annotations

from typing import Final

from include.contract import Column, Type
from include.serve.metrics.definition import IN_CURRENCY, Metric, Parameter

_NAMES: Final = ("daily_product_sales.product_id", "products.sku", "products.name", "products.category")
_TABLES: Final = ("reporting.daily_product_sales", "reporting.products")

PRODUCTS: Final = (
    Metric(
        name="top_products",
        meaning="The products that brought the most net sales in these days: less discounts, and less what was given "
        "back in them.",
        unit="units of the row's currency",
        grain="One row per currency and product; by currency, the most first.",
        tables=_TABLES,
        columns=(
            "daily_product_sales.currency",
            *_NAMES,
            Column("net_sales", Type.CENTS, "Σ net sales."),
            Column("units", Type.UNITS, "Σ units sold."),
            Column("returns", Type.CENTS, "Σ returns."),
            Column("gross_margin", Type.CENTS, "Σ gross margin; null when any cost is unknown.", nullable=True),
        ),
        sql="""
with sold as (
    select
        currency,
        product_id,
        sum(net_sales) as net_sales,
        sum(units) as units,
        sum(returns) as returns,
        case when count(gross_margin) = count(*) then sum(gross_margin) end as gross_margin
    from reporting.daily_product_sales
    where day between {first} and {last}{of_currency}
    group by currency, product_id
),

ranked as (
    select *, row_number() over (partition by currency order by net_sales desc, product_id) as place
    from sold
)

select ranked.currency, product_id, sku, name, category, net_sales, units, returns, gross_margin
from ranked
left join reporting.products using (product_id)
where place <= {limit}
order by ranked.currency, place
""",
        takes=IN_CURRENCY | {Parameter.LIMIT},
    ),
    Metric(
        name="movers",
        meaning="The products whose net sales of the seven days through `to` differ most from those of the seven days "
        "before, up or down.",
        unit="units of the row's currency",
        grain="One row per currency and product; by currency, the greatest change first.",
        tables=_TABLES,
        columns=(
            "daily_product_sales.currency",
            *_NAMES,
            Column("net_sales", Type.CENTS, "Σ net sales of the seven days through `to`."),
            Column("net_sales_before", Type.CENTS, "Σ net sales of the seven days before."),
            Column("change", Type.CENTS, "net_sales − net_sales_before."),
            Column("units", Type.UNITS, "Σ units sold in the seven days through `to`."),
            Column("units_before", Type.UNITS, "Σ units sold in the seven days before."),
        ),
        sql="""
with weeks as (
    select currency, product_id, net_sales, units, (day > {last} - 7)::integer as this_week
    from reporting.daily_product_sales
    where day between {last} - 13 and {last}{of_currency}
),

compared as (
    select
        currency,
        product_id,
        sum(net_sales * this_week) as net_sales,
        sum(net_sales * (1 - this_week)) as net_sales_before,
        sum(units * this_week) as units,
        sum(units * (1 - this_week)) as units_before
    from weeks
    group by currency, product_id
),

ranked as (
    select
        *,
        net_sales - net_sales_before as change,
        row_number() over (partition by currency order by abs(net_sales - net_sales_before) desc, product_id) as place
    from compared
    where net_sales <> net_sales_before
)

select
    ranked.currency, product_id, sku, name, category, net_sales, net_sales_before, change, units, units_before
from ranked
left join reporting.products using (product_id)
where place <= {limit}
order by ranked.currency, place
""",
        takes=frozenset({Parameter.TO, Parameter.CURRENCY, Parameter.LIMIT}),
    ),
)
