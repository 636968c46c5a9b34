"""Which tables and columns of a shop may be meant by a source, guessed by their names, keys and foreign keys.

A guess is a start for a person, who sees it in the file that is written (``new_shop``). It decides nothing in a night.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import psycopg

from include.contract import Source

# Words by which shops call such a table, in the singular.
_TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "customers": ("customer", "client", "buyer", "member", "user", "account", "kunde", "cliente"),
    "products": ("product", "article", "sku", "book", "item", "produkt", "artikel", "buch", "produit", "producto"),
    "warehouses": ("warehouse", "store", "location", "branch", "depot", "lager", "filiale"),
    "orders": ("order", "sales_order", "purchase", "sale", "basket", "bestellung", "auftrag"),
    "order_items": (
        "order_item", "order_line", "order_detail", "order_position", "line_item", "sale_item", "sale_line",
        "purchase_item", "basket_item", "bestell_position", "line", "position", "zeile",
    ),
    "refunds": ("refund", "order_return", "return", "credit_note", "erstattung", "retoure"),
    "order_refunds": ("order_refund", "goodwill", "granted_refund", "order_credit", "credit", "gutschrift"),
    "payments": ("payment", "payment_transaction", "order_transaction", "zahlung", "paiement", "pago"),
    "shipment_items": (
        "shipment_item", "fulfillment_item", "fulfillment_line", "shipment_line", "parcel_item", "sendungsposition",
    ),
    "inventory": ("inventory", "stock_level", "inventory_level", "stock", "bestand"),
    "inventory_movements": (
        "inventory_movement", "stock_movement", "stock_move", "inventory_transaction", "movement", "bewegung",
    ),
    "purchase_order_lines": (
        "purchase_order_line", "purchase_order_item", "purchase_line", "po_line", "po_item", "supplier_order_line",
        "supplier_order_item", "inbound_shipment_line",
    ),
    "kit_components": (
        "kit_component", "kit_item", "bundle_item", "bundle_component", "bom_line", "bill_of_material",
        "product_bundle", "bundle_product", "kit", "bundle", "bom", "stueckliste", "stuecklistenposition",
    ),
}  # fmt: skip
# Names of such a column, the likeliest first; its own name comes before all of them.
_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "email": ("email_address", "mail", "e_mail"),
    "name": ("full_name", "title", "titel", "display_name", "label", "last_name", "nachname", "bezeichnung"),
    "country": ("country_code", "land"),
    "created_at": ("created", "created_on", "date_created", "registered_at", "registered", "signup", "joined",
                   "date_added", "angelegt", "angelegt_am", "erstellt"),
    "updated_at": ("updated", "updated_on", "modified_at", "modified", "last_modified", "date_modified", "changed_at",
                   "changed", "last_update", "write_date", "mtime", "geaendert", "geaendert_am", "stand"),
    "product_group_id": ("parent_id", "parent_product_id", "product_template_id", "product_tmpl_id", "group_id",
                         "style_id"),
    "product_group_name": ("parent_name", "group_name", "style_name"),
    "product_name": ("product_title", "item_name", "produktname", "artikelname"),
    "price_currency": ("currency", "currency_code", "waehrung"),
    "cost_currency": ("currency", "currency_code", "waehrung"),
    "price_includes_tax": ("is_tax_inclusive", "tax_included", "prices_include_tax", "list_price_includes_tax"),
    "sku": ("article_number", "item_number", "isbn", "ean", "code", "artikelnummer"),
    "category": ("category_name", "genre", "department", "product_type", "rubrik", "warengruppe"),
    "unit_cost": ("cost", "cost_price", "purchase_price", "wholesale_price", "einkauf", "einkaufspreis"),
    "unit_price": ("price", "list_price", "sale_price", "retail_price", "preis", "verkaufspreis"),
    "is_active": ("active", "enabled", "available", "published", "aktiv", "lieferbar"),
    "code": ("short_name", "short_code", "name", "kurz", "ort"),
    "status": ("state", "order_status", "zustand"),
    "currency": ("currency_code", "waehrung"),
    "subtotal": ("sub_total", "net_total", "net_amount", "items_total", "netto"),
    "discount": ("discount_total", "discount_amount", "rabatt"),
    "tax": ("tax_total", "tax_amount", "vat", "mwst"),
    "total": ("grand_total", "total_amount", "order_total", "total_price", "amount", "sum", "summe", "brutto"),
    "shipping_address": ("ship_to", "delivery_address", "address"),
    "payment_id": ("payment_reference", "payment_ref", "transaction_id"),
    "channel": ("sales_channel", "medium"),
    "ordered_at": ("ordered", "ordered_on", "order_date", "placed_at", "purchased_at", "purchase_date", "sold_at",
                   "created_at", "created", "date", "bestellt", "bestellt_am", "datum"),
    "shipped_at": ("shipped", "shipped_on", "ship_date", "versandt"),
    "delivered_at": ("delivered", "delivered_on", "delivery_date", "geliefert"),
    "cancelled_at": ("canceled_at", "cancelled", "cancelled_on", "storniert"),
    "cancelled_by": ("canceled_by",),
    "cancellation_reason": ("cancel_reason", "cancelled_reason"),
    "quantity": ("qty", "units", "pieces", "count", "menge", "anzahl"),
    "amount": ("refund_amount", "total", "value", "betrag"),
    "restocked": ("is_restocked", "returned_to_stock"),
    "refunded_at": ("refunded", "refunded_on", "refund_date", "created_at", "created", "date", "datum"),
    "on_hand": ("quantity_on_hand", "quantity", "qty", "stock", "bestand"),
    "reserved": ("quantity_reserved", "allocated", "reserviert"),
    "reorder_point": ("reorder_level", "min_stock", "minimum_stock"),
    "kind": ("movement_type", "type", "reason", "art"),
    "method": ("payment_method", "gateway", "provider", "zahlungsart"),
    "paid_at": ("captured_at", "paid", "paid_on", "payment_date", "created_at", "created", "date", "datum"),
    "received": ("quantity_received", "received_quantity", "qty_received", "units_received", "erhalten"),
    "expected_at": ("expected", "expected_on", "expected_date", "date_planned", "eta", "due_date"),
    "received_at": ("received_on", "received_date", "date_received", "delivered_at"),
    "supplier": ("supplier_name", "supplier_id", "vendor", "vendor_name", "vendor_id", "partner_id", "lieferant"),
    "purchase_order": ("purchase_order_number", "po_number", "purchase_order_id", "po_id", "reference"),
    "moved_at": ("moved", "moved_on", "created_at", "created", "date", "datum"),
    "units_per_kit": ("required_quantity", "quantity", "qty", "product_qty", "units", "menge", "anzahl"),
}  # fmt: skip
# Names of columns that hold keys of the same source, which foreign keys do not tell apart.
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "kit_components.product_id": ("kit_id", "kit_product_id", "bundle_id", "bundle_product_id", "parent_id", "bom_id",
                                  "product_id"),
    "kit_components.component_id": (
        "component_id", "component_product_id", "part_id", "child_id", "item_id", "product_id",
    ),
}  # fmt: skip

_CATALOGUE: Final = """
select
    nspname,
    relname,
    array(
        select array[attname::text, format_type(atttypid, null)]
        from pg_attribute
        where attrelid = pg_class.oid and attnum > 0 and not attisdropped
        order by attnum
    ),
    array(
        select attname::text
        from pg_index
        join pg_attribute on attrelid = indrelid and attnum = any (indkey)
        where indrelid = pg_class.oid and indisprimary
    ),
    array(
        select array[attname::text, confrelid::text]
        from pg_constraint
        join pg_attribute on attrelid = conrelid and attnum = conkey[1]
        where conrelid = pg_class.oid and contype = 'f' and cardinality(conkey) = 1
    ),
    pg_class.oid::text
from pg_class
join pg_namespace on pg_namespace.oid = relnamespace
where relkind in ('r', 'p', 'v', 'm', 'f') and not relispartition
    and nspname not in ('pg_catalog', 'information_schema') and nspname not like 'pg\\_%'
order by nspname, relname
"""


@dataclass(frozen=True)
class ShopTable:
    """A table or view of the shop.

    Attributes:
        schema: its schema.
        name: its name.
        columns: type in Postgres by column, in order.
        key: the columns of its primary key.
        refers_to: by column, the ``oid`` of the table whose row it names.
        oid: its number in the catalogue.
    """

    schema: str
    name: str
    columns: Mapping[str, str]
    key: Sequence[str]
    refers_to: Mapping[str, str]
    oid: str


def catalogue(shop: psycopg.Connection) -> list[ShopTable]:
    """The shop's tables and views, whether or not they may be read."""
    return [
        ShopTable(schema, name, dict(columns), key, dict(refers_to), oid)
        for schema, name, columns, key, refers_to, oid in shop.execute(_CATALOGUE.encode()).fetchall()
    ]


def guess_tables(tables: Sequence[ShopTable], sources: Mapping[str, Source]) -> dict[str, ShopTable]:
    """By source, the table that is likeliest meant; none where no name is like one. No table is meant twice."""
    scored = sorted(
        (
            (score, number, name, table)
            for number, table in enumerate(tables)
            for name in sources
            if (score := _likeness(_words(table.name), _TABLES.get(name, ()))) > 0
        ),
        key=lambda one: (-one[0], one[1]),
    )
    found: dict[str, ShopTable] = {}
    for _, _, name, table in scored:
        if name not in found and table not in found.values():
            found[name] = table
    return found


def guess_columns(source: Source, tables: Mapping[str, ShopTable]) -> dict[str, str]:
    """By column of a source, the column of its guessed table that is likeliest meant."""
    table, found = tables[source.name], dict[str, str]()
    for column in source.columns:
        if column.key_of:
            referring = _references(table, column.key_of, column.name, tables)
            names = [*_KEYS.get(f"{source.name}.{column.name}", ()), *referring]
            names = [name for name in names if name not in found.values()]
        elif (column.name,) == source.primary_key:
            names = [*(table.key if len(table.key) == 1 else ()), column.name, "id"]
        else:
            names = [column.name, *_COLUMNS.get(column.name, ())]
        by_name = {"_".join(_words(name, singular=False)): name for name in table.columns}
        chosen = next((by_name.get(name, name) for name in names if name in by_name or name in table.columns), None)
        if chosen:
            found[column.name] = chosen
    return found


def _references(table: ShopTable, owner: str, name: str, tables: Mapping[str, ShopTable]) -> list[str]:
    """The columns that may hold the key of another source: its foreign key first."""
    other = tables.get(owner)
    if other is None:
        return [name]
    keys = [column for column, oid in table.refers_to.items() if oid == other.oid]
    own = other.key if len(other.key) == 1 and other.key[0] != "id" else ()
    return [*keys, name, *own, f"{'_'.join(_words(other.name))}_id"]


def _likeness(words: Sequence[str], names: Sequence[str]) -> int:
    """How alike a table's name is to the likeliest of some names: more words in common, fewer beside them."""
    best = 0
    for number, name in enumerate(names):
        wanted = name.split("_")
        if any(list(words[at : at + len(wanted)]) == wanted for at in range(len(words))):
            best = max(best, 100 * len(wanted) - 20 * (len(words) - len(wanted)) - number)
    return best


def _words(name: str, *, singular: bool = True) -> list[str]:
    """The words of a name: ``OrderItems`` is order, item."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    words = [word for word in re.split(r"[^a-z0-9]+", split) if word]
    return [_singular(word) for word in words] if singular else words


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us")) and len(word) > 3 else word
