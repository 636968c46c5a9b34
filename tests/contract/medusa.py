"""A Medusa database for tests: empty tables as ``schema.toml`` has them, and rows written the way Medusa writes them.

The tables are made from the schema that the folder of .sql files expects, which was read from a real Medusa: a
statement cannot read a column here that Medusa does not have.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from include.extract import drift
from include.settings import ROOT

FOLDER: Final = ROOT / "include" / "sources" / "medusa"


def at(day: int, hour: int = 9) -> datetime:
    """An instant in March 2026."""
    return datetime(2026, 3, day, hour, tzinfo=UTC)


EARLY: Final = at(1)


def expected_tables() -> dict[str, dict[str, Any]]:
    """Every table of the folder's schema.toml by its name without schema: columns, and labels of enums."""
    content = tomllib.loads((FOLDER / drift.FILE).read_text())
    return {name.removeprefix("public."): table for name, table in content.items() if name != "reads"}


class Medusa:
    """Writes into the tables of one database.

    Args:
        connection: the owner's, in autocommit mode; the tables are created in it.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._tables = expected_tables()
        self._numbers = count(1)
        for name, table in self._tables.items():
            for column, labels in table.get("enums", {}).items():
                kind = sql.Identifier(table["columns"][column])
                quoted = sql.SQL(", ").join(map(sql.Literal, labels))
                connection.execute(sql.SQL("create type {} as enum ({})").format(kind, quoted))
            columns = [
                sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(kind))
                for column, kind in table["columns"].items()
            ]
            connection.execute(
                sql.SQL("create table {} ({})").format(sql.Identifier(name), sql.SQL(", ").join(columns))
            )

    def put(self, table: str, when: datetime = EARLY, **values: Any) -> None:
        """Insert a row: not deleted, nothing of it true, every quantity 0, written ``when``, unless said otherwise."""
        columns = self._tables[table]["columns"]
        row: dict[str, Any] = {"id": f"{table}_{next(self._numbers)}"} if "id" in columns else {}
        row |= {name: when for name in ("created_at", "updated_at") if name in columns}
        row |= {name: False for name, kind in columns.items() if kind == "boolean"}
        row |= {name: 0 for name in columns if name.endswith("_quantity") and not name.startswith("raw_")}
        row |= {name: Jsonb(value) if isinstance(value, dict) else value for name, value in values.items()}
        self._connection.execute(
            sql.SQL("insert into {} ({}) values ({})").format(
                sql.Identifier(table),
                sql.SQL(", ").join(map(sql.Identifier, row)),
                sql.SQL(", ").join(sql.Placeholder() * len(row)),
            ),
            list(row.values()),
        )

    def touch(self, table: str, when: datetime) -> None:
        """Write every row of a table again, unchanged."""
        self._connection.execute(sql.SQL("update {} set updated_at = %s").format(sql.Identifier(table)), [when])

    def product(self, variant: str, *parts: tuple[str, int], deleted_at: datetime | None = None, **values: Any) -> None:
        """A product with one variant, its article number, of the inventory items ``parts``, else of one of its own."""
        self.put("product", id=f"p/{variant}", title=variant, status=values.pop("status", "published"))
        self.put(
            "product_variant",
            id=variant,
            product_id=f"p/{variant}",
            sku=f"SKU-{variant}",
            deleted_at=deleted_at,
            **values,
        )
        for item, units in parts or ((variant, 1),):
            self.put(
                "product_variant_inventory_item", variant_id=variant, inventory_item_id=item, required_quantity=units
            )

    def order(self, order: str, *, version: int = 1, day: int = 2, **values: Any) -> None:
        """An order of the web shop, in euros, placed at nine."""
        given = {"customer_id": "ada", "currency_code": "eur", "sales_channel_id": "web", "status": "pending"}
        self.put("order", at(day), id=order, version=version, **given | values)

    def line(
        self,
        order: str,
        line: str,
        price: str,
        rate: str,
        *,
        inclusive: bool = False,
        variant: str | None = "mug",
        **values: Any,
    ) -> None:
        """What is the same of a line in all versions: its price and its tax rate in per cent."""
        text = {"title": variant, "requires_shipping": True} | values
        self.put(
            "order_line_item", at(2), id=f"{order}/{line}", variant_id=variant, unit_price=Decimal(price),
            is_tax_inclusive=inclusive, **text,
        )  # fmt: skip
        self.put("order_line_item_tax_line", at(2), item_id=f"{order}/{line}", rate=Decimal(rate))

    def item(
        self, order: str, line: str, quantity: str | int, *, version: int = 1, day: int = 2, **values: Any
    ) -> None:
        """A line in one version of its order: its units, and how many of them are fulfilled, shipped, …."""
        self.put(
            "order_item", at(day), order_id=order, item_id=f"{order}/{line}", version=version,
            quantity=Decimal(quantity), **values,
        )  # fmt: skip

    def sell(self, order: str, line: str, quantity: str | int, price: str, rate: str, **values: Any) -> None:
        """A line of an order of one version."""
        self.line(order, line, price, rate, **values)
        self.item(order, line, quantity)

    def promote(
        self, order: str, line: str, amount: str, *, version: int = 1, inclusive: bool = False, **values: Any
    ) -> None:
        """A discount on a line in one version."""
        self.put(
            "order_line_item_adjustment", at(2), item_id=f"{order}/{line}", version=version, amount=Decimal(amount),
            is_tax_inclusive=inclusive, **values,
        )  # fmt: skip

    def ship_for(
        self,
        order: str,
        amount: str,
        rate: str,
        *,
        inclusive: bool = False,
        discount: str | None = None,
        versions: Iterable[int] = (1,),
    ) -> None:
        """What an order's delivery costs, in its versions."""
        method = f"{order}/delivery"
        self.put("order_shipping_method", at(2), id=method, amount=Decimal(amount), is_tax_inclusive=inclusive)
        self.put("order_shipping_method_tax_line", at(2), shipping_method_id=method, rate=Decimal(rate))
        for version in versions:
            self.put("order_shipping", at(2), order_id=order, shipping_method_id=method, version=version)
            if discount:
                self.put(
                    "order_shipping_method_adjustment", at(2), shipping_method_id=method, version=version,
                    amount=Decimal(discount),
                )  # fmt: skip

    def pay(
        self,
        order: str,
        captured_at: datetime | None,
        amount: str = "10",
        *,
        provider: str = "pp_stripe_stripe",
        is_linked: bool = True,
    ) -> None:
        """A payment of an order, or one that no order knows: captured, or only authorized."""
        if is_linked:
            self.put("order_payment_collection", order_id=order, payment_collection_id=f"{order}/bill")
        self.put(
            "payment", captured_at or at(2), id=f"{order}/payment", payment_collection_id=f"{order}/bill",
            captured_at=captured_at, currency_code="eur", provider_id=provider, amount=Decimal(amount),
        )  # fmt: skip
        if captured_at:
            self.put(
                "capture", captured_at, id=f"{order}/capture", payment_id=f"{order}/payment", amount=Decimal(amount)
            )

    def credit(
        self, order: str, reference: str, amount: str, *, version: int = 1, day: int = 2, reference_id: str = "1"
    ) -> None:
        """What is credited to an order in one version: a gift card that is redeemed, goodwill."""
        self.put(
            "order_credit_line", at(day), order_id=order, reference=reference, reference_id=reference_id,
            version=version, amount=Decimal(amount),
        )  # fmt: skip

    def parcel(
        self, order: str, line: str, location: str, *, day: int = 3, number: str = "parcel", units: int = 1,
        stock_item: str | None = None, **values: Any,
    ) -> None:  # fmt: skip
        """A parcel with units of one line, of the shipping option whose stock lies at ``main``."""
        parcel = f"{order}/{line}/{number}"
        self.put("order_fulfillment", at(day), order_id=order, fulfillment_id=parcel)
        told = {"shipping_option_id": "standard", "requires_shipping": True} | values
        self.put("fulfillment", at(day), id=parcel, location_id=location, **told)
        self.put(
            "fulfillment_item", at(day), fulfillment_id=parcel, line_item_id=f"{order}/{line}", quantity=units,
            inventory_item_id=stock_item,
        )  # fmt: skip

    def reserve(self, order: str, line: str, location: str, **values: Any) -> None:
        """Units set aside for a line at a location."""
        self.put(
            "reservation_item",
            values.pop("when", at(2)),
            line_item_id=f"{order}/{line}",
            location_id=location,
            **values,
        )

    def give_back(self, order: str, line: str, received: int, damaged: int = 0, *, day: int = 8, **values: Any) -> None:
        """A return of a line; ``received`` includes what is damaged."""
        back = f"{order}/{line}/return"
        received_at = values.pop("received_at", at(day))
        self.put("return", at(day), id=back, order_id=order, received_at=received_at, **values)
        self.put(
            "return_item", at(day), id=f"{back}/item", return_id=back, item_id=f"{order}/{line}",
            received_quantity=received, damaged_quantity=damaged,
        )  # fmt: skip
