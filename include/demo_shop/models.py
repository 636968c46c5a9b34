"""The rows that the order service reads and writes, as schema.sql declares them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Date, DateTime, FetchedValue, ForeignKey, Integer, Numeric, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from include.demo_shop.commands import Key


class KeyColumn(UserDefinedType[Key]):
    """A key whose type only the database knows: values are bound without a cast, so any of the three types works."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The name used in DDL, which this project never generates from the models."""
        return "bigint"


class Row(DeclarativeBase):
    """A row of the shop."""

    type_annotation_map = {  # noqa: RUF012 -- SQLAlchemy reads this class attribute as it is
        Key: KeyColumn(),
        datetime: DateTime(timezone=True),
        Decimal: Numeric(15, 3),
        str: Text(),
    }
    __mapper_args__ = {"eager_defaults": False}  # noqa: RUF012 -- the same


def _generated_key() -> Mapped[Key]:
    return mapped_column(KeyColumn(), primary_key=True, server_default=FetchedValue())


class Customer(Row):
    """One customer."""

    __tablename__ = "customers"

    customer_id: Mapped[Key] = _generated_key()
    email: Mapped[str]
    name: Mapped[str]
    country: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Product(Row):
    """One product, at today's price."""

    __tablename__ = "products"

    product_id: Mapped[Key] = _generated_key()
    sku: Mapped[str]
    name: Mapped[str]
    category: Mapped[str]
    unit_cost: Mapped[Decimal]
    unit_price: Mapped[Decimal]
    is_active: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Order(Row):
    """One order."""

    __tablename__ = "orders"

    order_id: Mapped[Key] = _generated_key()
    customer_id: Mapped[Key | None] = mapped_column(KeyColumn(), ForeignKey("customers.customer_id"))
    status: Mapped[str]
    currency: Mapped[str]
    subtotal: Mapped[Decimal]
    discount: Mapped[Decimal]
    tax: Mapped[Decimal]
    total: Mapped[Decimal]
    shipping_address: Mapped[dict[str, str] | None] = mapped_column(JSONB(none_as_null=True))
    payment_id: Mapped[str | None]
    ordered_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    shipped_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    cancelled_by: Mapped[str | None]
    cancellation_reason: Mapped[str | None]
    channel: Mapped[str | None]
    shipping: Mapped[Decimal]
    shipping_discount: Mapped[Decimal]
    shipping_tax: Mapped[Decimal]
    discount_code: Mapped[str | None]


class OrderItem(Row):
    """One line of an order."""

    __tablename__ = "order_items"

    order_item_id: Mapped[Key] = _generated_key()
    order_id: Mapped[Key] = mapped_column(KeyColumn(), ForeignKey("orders.order_id"))
    product_id: Mapped[Key] = mapped_column(KeyColumn(), ForeignKey("products.product_id"))
    warehouse_id: Mapped[Key]
    quantity: Mapped[int]
    unit_price: Mapped[Decimal]
    unit_cost: Mapped[Decimal]
    updated_at: Mapped[datetime]
    discount: Mapped[Decimal | None]
    sold_at: Mapped[datetime | None]
    discount_code: Mapped[str | None]
    sku: Mapped[str | None]
    price_includes_tax: Mapped[bool]
    removed_at: Mapped[datetime | None]


class Refund(Row):
    """One refund of a line."""

    __tablename__ = "refunds"

    refund_id: Mapped[Key] = _generated_key()
    order_item_id: Mapped[Key] = mapped_column(KeyColumn(), ForeignKey("order_items.order_item_id"))
    quantity: Mapped[int]
    amount: Mapped[Decimal]
    restocked: Mapped[bool]
    refunded_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    tax: Mapped[Decimal | None]
    returned_at: Mapped[datetime | None]


class Payment(Row):
    """One movement of money."""

    __tablename__ = "payments"

    transaction_id: Mapped[Key] = _generated_key()
    order_id: Mapped[Key | None] = mapped_column(KeyColumn(), ForeignKey("orders.order_id"))
    kind: Mapped[str]
    method: Mapped[str]
    currency: Mapped[str]
    amount: Mapped[Decimal]
    paid_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ShipmentItem(Row):
    """One order line in a parcel."""

    __tablename__ = "shipment_items"

    shipment_item_id: Mapped[Key] = _generated_key()
    shipment_number: Mapped[str]
    order_item_id: Mapped[Key] = mapped_column(KeyColumn(), ForeignKey("order_items.order_item_id"))
    warehouse_id: Mapped[Key] = mapped_column(KeyColumn())
    quantity: Mapped[int]
    carrier: Mapped[str]
    shipped_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]


class Stock(Row):
    """What a warehouse holds of a product now."""

    __tablename__ = "inventory"

    product_id: Mapped[Key] = mapped_column(KeyColumn(), primary_key=True)
    warehouse_id: Mapped[Key] = mapped_column(KeyColumn(), primary_key=True)
    on_hand: Mapped[int]
    reserved: Mapped[int]
    reorder_point: Mapped[int]
    updated_at: Mapped[datetime]

    @property
    def available(self) -> int:
        """Units that can still be sold."""
        return self.on_hand - self.reserved


class Movement(Row):
    """One change of a stock level; schema.sql says what each kind does."""

    __tablename__ = "inventory_movements"

    movement_id: Mapped[Key] = _generated_key()
    product_id: Mapped[Key]
    warehouse_id: Mapped[Key]
    kind: Mapped[str]
    quantity: Mapped[int]
    order_item_id: Mapped[Key | None] = mapped_column(KeyColumn(), ForeignKey("order_items.order_item_id"))
    moved_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ClosedDay(Row):
    """One business day that the office closed."""

    __tablename__ = "stocktake_outbox"

    outbox_id: Mapped[int] = mapped_column(Integer, primary_key=True, server_default=FetchedValue())
    business_day: Mapped[date] = mapped_column(Date)
    written_at: Mapped[datetime]
