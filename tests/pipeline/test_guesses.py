"""Guesses that the names of a catalogue alone decide."""

from __future__ import annotations

import pytest

from include.pipeline.guesses import ShopTable, guess_columns, guess_tables
from include.sources import SOURCES


@pytest.mark.parametrize(
    ("name", "columns", "kit", "component", "units"),
    [
        ("product_bundles", ("item_id", "bundle_id", "qty"), "bundle_id", "item_id", "qty"),
        ("bundle_items", ("bundle_id", "product_id", "quantity"), "bundle_id", "product_id", "quantity"),
        (
            "kit_components",
            ("component_id", "product_id", "units_per_kit"),
            "product_id",
            "component_id",
            "units_per_kit",
        ),
        ("mrp_bom_line", ("bom_id", "product_id", "product_qty"), "bom_id", "product_id", "product_qty"),
    ],
)
def test_a_kit_and_its_component_are_told_apart(
    name: str, columns: tuple[str, ...], kit: str, component: str, units: str
) -> None:
    """Both are keys of products, and foreign keys say no more."""
    kinds = dict.fromkeys(columns, "bigint")
    refers_to = {column: "1" for column in columns if column.endswith("_id")}
    catalogue = [
        ShopTable("shop", "products", {"id": "bigint"}, ["id"], {}, "1"),
        ShopTable("shop", name, kinds, [], refers_to, "2"),
    ]
    tables = guess_tables(catalogue, SOURCES)
    assert tables["kit_components"].name == name
    found = guess_columns(SOURCES["kit_components"], tables)
    assert [found[column] for column in ("product_id", "component_id", "units_per_kit")] == [kit, component, units]


@pytest.mark.parametrize(
    ("names", "language"),
    [
        (("klanten", "artikelen", "magazijnen", "bestellingen", "bestelregels", "betalingen"), "Dutch"),
        (("kunden", "artikel", "lager", "bestellungen", "bestellpositionen", "zahlungen"), "German"),
        (("clients", "articles", "entrepots", "commandes", "lignes_commande", "paiements"), "French"),
        (("clientes", "articulos", "almacenes", "pedidos", "lineas_pedido", "pagos"), "Spanish"),
    ],
)
def test_plurals_of_other_languages_are_known(names: tuple[str, ...], language: str) -> None:
    catalogue = [
        ShopTable("shop", name, {"id": "bigint"}, ["id"], {}, str(number)) for number, name in enumerate(names)
    ]
    found = {source: table.name for source, table in guess_tables(catalogue, SOURCES).items()}
    sources = ("customers", "products", "warehouses", "orders", "order_items", "payments")
    assert found == dict(zip(sources, names, strict=True)), language
