"""A bookshop of odd names: prices as floats, times without a zone, text keys, no movements and no refunds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
import pytest

from include.settings import settings
from tests.conftest import Database

TABLES: Final = """
create schema laden;
create table laden.kunde (
    knr text primary key,
    mail text,
    nachname varchar(80),
    angelegt timestamp not null,
    geaendert timestamp not null
);
create table laden.buch (
    isbn text primary key,
    titel text,
    einkauf real,
    preis double precision,
    lieferbar integer not null,
    stand timestamp not null
);
create table laden.filiale (
    fnr integer primary key,
    ort text not null,
    stand timestamp not null
);
create table laden.bestellung (
    bnr text primary key,
    knr text not null references laden.kunde,
    zustand text not null,
    summe double precision not null,
    bestellt timestamp not null,
    stand timestamp not null
);
create table laden.zeile (
    znr integer primary key,
    bnr text not null references laden.bestellung,
    isbn text not null references laden.buch,
    fnr integer not null references laden.filiale,
    menge numeric not null,
    preis double precision not null,
    stand timestamp not null
);
"""
ROWS: Final = """
insert into laden.kunde
select 'K' || n, 'k' || n || '@example.com', 'Kunde ' || n, '2026-01-01 09:00', '2026-01-01 09:00'
from generate_series(1, 40) as n;
insert into laden.buch
select '978-' || n, 'Buch ' || n, 5.25, 9.99, n % 2, '2026-01-01 09:00' from generate_series(1, 30) as n;
insert into laden.filiale values (1, 'Mitte', '2026-01-01 09:00');
insert into laden.bestellung
select
    'B/' || n,
    'K' || 1 + n % 40,
    'delivered',
    19.98,
    '2026-02-01 00:30'::timestamp + n * interval '6 hours',
    '2026-02-01 00:30'::timestamp + n * interval '6 hours'
from generate_series(1, 60) as n;
insert into laden.zeile
select n, 'B/' || n, '978-' || 1 + n % 30, 1, 2, 9.99, '2026-02-01 00:30'::timestamp + n * interval '6 hours'
from generate_series(1, 60) as n;
"""
FILES: Final[Mapping[str, str]] = {
    "customers.sql": """\
-- Every customer.
select
    knr as customer_id,
    mail as email,
    nachname as name,
    null as country,
    angelegt at time zone 'Europe/Berlin' as created_at,
    geaendert at time zone 'Europe/Berlin' as updated_at
from laden.kunde
where geaendert >= :changed_since at time zone 'Europe/Berlin'
""",
    "products.sql": """\
select
    isbn as product_id,
    isbn as sku,
    titel as name,
    null as category,
    einkauf as unit_cost,
    preis as unit_price,
    lieferbar <> 0 as is_active,
    null as created_at,
    stand at time zone 'Europe/Berlin' as updated_at
from laden.buch
where stand >= :changed_since at time zone 'Europe/Berlin'
""",
    "warehouses.sql": """\
select fnr as warehouse_id, ort as code, ort as name, null as country, stand at time zone 'Europe/Berlin' as updated_at
from laden.filiale; -- all of them, every night
""",
    "orders.sql": """\
select
    bnr as order_id,
    knr as customer_id,
    zustand as status,
    'EUR' as currency,
    summe as subtotal,
    0 as discount,
    0.00 as tax,
    null as tax_due,
    summe as total,
    null as shipping_address,
    null as payment_id,
    null as channel,
    bestellt at time zone 'Europe/Berlin' as ordered_at,
    stand at time zone 'Europe/Berlin' as updated_at,
    null as shipped_at,
    null as delivered_at,
    null as cancelled_at,
    null as cancelled_by,
    null as cancellation_reason
from laden.bestellung
where stand >= :changed_since at time zone 'Europe/Berlin'
""",
    "order_items.sql": """\
select
    znr as order_item_id,
    bnr as order_id,
    isbn as product_id,
    fnr as warehouse_id,
    menge as quantity,
    preis as unit_price,
    null as unit_cost,
    stand at time zone 'Europe/Berlin' as updated_at
from laden.zeile
where stand >= :changed_since at time zone 'Europe/Berlin'
""",
    "keys.toml": 'customers = "text"\nproducts = "text"\norders = "text"\n',
}


def fill(shop: psycopg.Connection) -> None:
    """Make the bookshop's tables and rows in an empty database, as the shopkeeper."""
    shop.execute(TABLES.encode())
    shop.execute(ROWS.encode())


def write(folder: Path) -> Path:
    """Write the folder of .sql files that reads it."""
    folder.mkdir(parents=True)
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


@contextmanager
def read_from(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[psycopg.Connection, Path]]:
    """The bookshop in a database, as the shop that is read by the files in a folder; both are made."""
    write(folder)
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", database.url("extractor"))
    monkeypatch.setenv("STOCKTAKE_SOURCES", str(folder))
    monkeypatch.setenv("STOCKTAKE_TIMEZONE", "Europe/Berlin")
    settings.cache_clear()
    with database.connect("shopkeeper") as shop:
        fill(shop)
        yield shop, folder
