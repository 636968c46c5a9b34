"""Every DAG once for each shop: ``nightly``, or ``nightly__berlin`` and ``nightly__lima``. No DAG itself."""

from __future__ import annotations

from collections.abc import Iterator

from airflow.sdk import get_parsing_context

from include.settings import all_settings
from include.settings.shops import of_shop, shop_names, shop_of


def each_shop() -> Iterator[str | None]:
    """Every shop in turn, with its settings; where the deployment names none, one turn without a name.

    What runs a task reads the file for it alone, and gets only its shop.

    Raises:
        WrongShops: when two shops would get into each other's way, or a variable is of no shop.
        pydantic.ValidationError: when a value of a shop is missing or malformed: no shop has DAGs then.
    """
    names = shop_names()
    if asked := shop_of(get_parsing_context().dag_id or ""):
        names = (asked,)
    elif names:
        all_settings()
    for shop in names or (None,):
        with of_shop(shop):
            yield shop
