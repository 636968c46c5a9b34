"""The shop's office: what changes besides orders and stock. The same rules as in ``service``."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

from include.demo_shop.commands import ChangePrice, CloseDay, Key, RegisterCustomer
from include.demo_shop.errors import DayClosed, EmailTaken, InvalidCommand, UnknownProduct
from include.demo_shop.models import ClosedDay, Customer, Product
from include.demo_shop.money import CATALOGUE, is_whole
from include.demo_shop.repositories import instant_of

_DAY_CLOSED = "stocktake_day_closed"  # the channel on which whoever waits for the outbox is woken


class Office:
    """Keeps the customers and the price list, and closes the day."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Work through this engine, one transaction per command."""
        self._transaction = async_sessionmaker(engine, expire_on_commit=False).begin

    async def register(self, command: RegisterCustomer) -> Key:
        """Enter a new customer, and return their key.

        Raises:
            InvalidCommand, EmailTaken.
        """
        if "@" not in command.email:
            raise InvalidCommand(f"{command.email!r} is no e-mail address")
        try:
            async with self._transaction() as session:
                instant = await instant_of(session)
                customer = Customer(
                    email=command.email,
                    name=command.name,
                    country=command.country,
                    created_at=instant,
                    updated_at=instant,
                )
                session.add(customer)
                await session.flush()
        except IntegrityError as error:
            raise EmailTaken(command.email) from error
        return customer.customer_id

    async def change_price(self, command: ChangePrice) -> None:
        """Set what a product costs from now on; orders keep the price at which they were placed.

        Raises:
            InvalidCommand, UnknownProduct.
        """
        if not is_whole(command.unit_price, CATALOGUE.step) or command.unit_price < 0:
            raise InvalidCommand(f"a price is an amount of whole cents, not {command.unit_price}")
        async with self._transaction() as session:
            product = await session.get(Product, command.product_id, with_for_update=True)
            if product is None:
                raise UnknownProduct(command.product_id)
            product.unit_price = command.unit_price
            product.updated_at = await instant_of(session)

    async def close_day(self, command: CloseDay) -> None:
        """Close a business day: a row in the outbox, and a word to whoever waits for one, both with the commit.

        Raises:
            InvalidCommand, DayClosed.
        """
        async with self._transaction() as session:
            # One clerk at a time: two would both find the day open.
            await session.execute(select(func.pg_advisory_xact_lock(func.hashtext(_DAY_CLOSED))))
            instant = await instant_of(session)
            if command.day >= instant.astimezone(command.timezone).date():
                raise InvalidCommand(f"{command.day} is not over")
            if await session.scalar(select(ClosedDay.outbox_id).where(ClosedDay.business_day == command.day)):
                raise DayClosed(command.day)
            session.add(ClosedDay(business_day=command.day, written_at=instant))
            await session.flush()
            await session.execute(select(func.pg_notify(_DAY_CLOSED, command.day.isoformat())))
