"""The words by which shops call their tables and columns, in some languages; ``guesses`` goes by them.

Words are lower-case and without accents, tables in the singular.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# Words by which shops call such a table, in the singular.
TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "customers": (
        "customer", "client", "buyer", "member", "user", "account", "kunde", "cliente", "utilisateur",
        "acheteur", "usuario", "klant",
    ),
    "products": (
        "product", "article", "sku", "book", "item", "produkt", "artikel", "buch", "produit", "producto",
        "articulo", "prodotto",
    ),
    "warehouses": (
        "warehouse", "store", "location", "branch", "depot", "lager", "filiale", "entrepot", "magasin",
        "almacen", "magazzino", "magazijn", "filiaal", "vestiging",
    ),
    "orders": (
        "order", "sales_order", "purchase", "sale", "basket", "bestellung", "auftrag", "commande", "vente",
        "pedido", "ordine", "bestelling", "order_kop",
    ),
    "order_items": (
        "order_item", "order_line", "order_detail", "order_position", "line_item", "sale_item", "sale_line",
        "purchase_item", "basket_item", "bestell_position", "bestellposition", "line", "position", "zeile",
        "ligne_commande", "commande_ligne", "detail_commande", "auftragsposition", "auftragspos", "ligne",
        "linea_pedido", "linea", "riga", "order_regel", "bestel_regel", "orderregel", "bestelregel", "regel",
    ),
    "refunds": (
        "refund", "order_return", "return", "credit_note", "erstattung", "retoure", "avoir", "remboursement",
        "retour", "reembolso", "devolucion", "retourzending", "creditnota", "terugbetaling",
    ),
    "order_refunds": ("order_refund", "goodwill", "granted_refund", "order_credit", "credit", "gutschrift", "tegoed"),
    "payments": (
        "payment", "payment_transaction", "order_transaction", "zahlung", "paiement", "pago", "reglement",
        "pagamento", "betaling",
    ),
    "shipment_items": (
        "shipment_item", "fulfillment_item", "fulfillment_line", "shipment_line", "parcel_item",
        "sendungsposition", "zending_regel", "zendingregel",
    ),
    "inventory": (
        "inventory", "stock_level", "inventory_level", "stock", "bestand", "lagerbestand", "existencia",
        "giacenza", "voorraad", "voorraadstand",
    ),
    "inventory_movements": (
        "inventory_movement", "stock_movement", "stock_move", "inventory_transaction", "movement", "bewegung",
        "mouvement_stock", "mouvement", "lagerbewegung", "movimiento", "voorraad_mutatie", "voorraadmutatie",
        "mutatie",
    ),
    "purchase_order_lines": (
        "purchase_order_line", "purchase_order_item", "purchase_line", "po_line", "po_item",
        "supplier_order_line", "supplier_order_item", "inbound_shipment_line", "inkoop_regel", "inkoopregel",
    ),
    "kit_components": (
        "kit_component", "kit_item", "bundle_item", "bundle_component", "bom_line", "bill_of_material",
        "product_bundle", "bundle_product", "kit", "bundle", "bom", "stueckliste", "stuecklistenposition",
        "stuklijst", "stuklijst_regel",
    ),
}  # fmt: skip
# Names of such a column, the likeliest first; its own name comes before all of them.
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "email": ("email_address", "mail", "e_mail", "courriel", "correo", "e_mailadres", "emailadres"),
    "name": (
        "full_name", "title", "titel", "display_name", "label", "last_name", "nachname", "bezeichnung", "nom",
        "libelle", "intitule", "designation", "nombre", "naam", "omschrijving", "achternaam",
    ),
    "country": ("country_code", "land", "pays", "pais", "paese", "landcode"),
    "created_at": (
        "created", "created_on", "date_created", "registered_at", "registered", "signup", "joined",
        "date_added", "angelegt", "angelegt_am", "erstellt", "cree_le", "date_creation", "inscrit_le",
        "creado_en", "creado", "aangemaakt", "aangemaakt_op",
    ),
    "updated_at": (
        "updated", "updated_on", "modified_at", "modified", "last_modified", "date_modified", "changed_at",
        "changed", "last_update", "write_date", "mtime", "geaendert", "geaendert_am", "stand",
        "letzte_aenderung", "modifie_le", "maj_le", "mis_a_jour_le", "date_modification", "date_maj",
        "actualizado_en", "actualizado", "gewijzigd", "gewijzigd_op", "laatst_gewijzigd",
    ),
    "product_group_id": (
        "parent_id", "parent_product_id", "product_template_id", "product_tmpl_id", "group_id", "style_id",
    ),
    "product_group_name": ("parent_name", "group_name", "style_name"),
    "product_name": (
        "product_title", "item_name", "produktname", "artikelname", "libelle", "bezeichnung", "productnaam",
        "artikelnaam", "omschrijving",
    ),
    "price_currency": ("currency", "currency_code", "waehrung", "devise", "moneda", "valuta"),
    "cost_currency": ("currency", "currency_code", "waehrung", "devise", "moneda", "valuta"),
    "price_includes_tax": ("is_tax_inclusive", "tax_included", "prices_include_tax", "list_price_includes_tax"),
    "sku": (
        "article_number", "item_number", "isbn", "ean", "code", "artikelnummer", "artnr", "reference", "ref",
        "referencia", "artikelcode",
    ),
    "category": (
        "category_name", "genre", "department", "product_type", "rubrik", "warengruppe", "famille", "categorie",
        "rayon", "categoria", "groep", "artikelgroep", "rubriek",
    ),
    "unit_cost": (
        "cost", "cost_price", "purchase_price", "wholesale_price", "einkauf", "einkaufspreis", "ek",
        "prix_achat", "cout", "coste", "inkoop", "inkoopprijs",
    ),
    "unit_price": (
        "price", "list_price", "sale_price", "retail_price", "preis", "verkaufspreis", "vk", "einzelpreis",
        "prix_unitaire", "prix_vente", "prix", "precio", "prijs", "verkoopprijs", "stuksprijs",
    ),
    "is_active": (
        "active", "enabled", "available", "published", "aktiv", "lieferbar", "actif", "activo", "attivo",
        "actief", "leverbaar",
    ),
    "code": (
        "short_name", "short_code", "name", "kurz", "ort", "kuerzel", "sigle", "ville", "nom", "nombre",
        "plaats", "naam",
    ),
    "status": ("state", "order_status", "zustand", "statut", "etat", "estado", "stato", "toestand"),
    "currency": ("currency_code", "waehrung", "devise", "moneda", "valuta", "munt"),
    "subtotal": ("sub_total", "net_total", "net_amount", "items_total", "netto", "sous_total", "montant", "subtotaal"),
    "discount": ("discount_total", "discount_amount", "rabatt", "remise", "descuento", "sconto", "korting"),
    "tax": ("tax_total", "tax_amount", "vat", "mwst", "tva", "montant_tva", "iva", "btw"),
    "total": (
        "grand_total", "total_amount", "order_total", "total_price", "amount", "sum", "summe", "brutto",
        "montant_total", "importe_total", "totaal", "totaalbedrag", "bedrag",
    ),
    "shipping_address": ("ship_to", "delivery_address", "address"),
    "payment_id": ("payment_reference", "payment_ref", "transaction_id"),
    "shipping": (
        "shipping_cost", "shipping_total", "delivery_fee", "versandkosten", "versand", "port", "verzendkosten",
    ),
    "discount_code": (
        "coupon_code", "coupon", "voucher_code", "promo_code", "gutscheincode", "code_promo", "kortingscode",
        "actiecode",
    ),
    "reason": ("grund", "motif", "note", "comment", "reden"),
    "channel": ("sales_channel", "medium", "origine", "source", "herkunft", "canal", "kanaal", "herkomst"),
    "ordered_at": (
        "ordered", "ordered_on", "order_date", "placed_at", "purchased_at", "purchase_date", "sold_at",
        "created_at", "created", "date", "bestellt", "bestellt_am", "datum", "commande_le", "date_commande",
        "passee_le", "cree_le", "fecha", "besteld", "besteld_op", "orderdatum", "besteldatum",
    ),
    "shipped_at": (
        "shipped", "shipped_on", "ship_date", "versandt", "versendet", "versendet_am", "expedie_le",
        "date_expedition", "enviado_en", "verzonden", "verzonden_op",
    ),
    "delivered_at": (
        "delivered", "delivered_on", "delivery_date", "geliefert", "zugestellt", "zugestellt_am", "livre_le",
        "date_livraison", "entregado_en", "bezorgd", "bezorgd_op", "geleverd", "geleverd_op",
    ),
    "cancelled_at": (
        "canceled_at", "cancelled", "cancelled_on", "storniert", "storno_am", "storniert_am", "annule_le",
        "cancelado_en", "geannuleerd", "geannuleerd_op",
    ),
    "cancelled_by": ("canceled_by",),
    "cancellation_reason": (
        "cancel_reason", "cancelled_reason", "storno_grund", "stornogrund", "motif_annulation",
        "annuleringsreden",
    ),
    "quantity": (
        "qty", "units", "pieces", "count", "menge", "anzahl", "quantite", "qte", "cantidad", "aantal",
        "hoeveelheid",
    ),
    "amount": ("refund_amount", "total", "value", "betrag", "montant", "importe", "bedrag"),
    "restocked": ("is_restocked", "returned_to_stock"),
    "refunded_at": (
        "refunded", "refunded_on", "refund_date", "created_at", "created", "date", "datum", "date_avoir",
        "rembourse_le", "cree_le", "fecha", "terugbetaald", "terugbetaald_op", "creditdatum",
    ),
    "on_hand": (
        "quantity_on_hand", "quantity", "qty", "stock", "bestand", "menge", "quantite", "en_stock", "voorraad",
        "aantal",
    ),
    "reserved": ("quantity_reserved", "allocated", "reserviert", "reserve", "reservado", "gereserveerd"),
    "reorder_point": (
        "reorder_level", "min_stock", "minimum_stock", "meldebestand", "seuil", "seuil_alerte", "bestelniveau",
        "minimum_voorraad", "min_voorraad",
    ),
    "kind": ("movement_type", "type", "reason", "art", "soort"),
    "method": (
        "payment_method", "gateway", "provider", "zahlungsart", "moyen", "moyen_paiement", "mode_paiement",
        "betaalwijze", "betaalmethode",
    ),
    "paid_at": (
        "captured_at", "paid", "paid_on", "payment_date", "created_at", "created", "date", "datum",
        "encaisse_le", "paye_le", "date_paiement", "cree_le", "fecha", "betaald", "betaald_op",
    ),
    "received": ("quantity_received", "received_quantity", "qty_received", "units_received", "erhalten", "ontvangen"),
    "expected_at": (
        "expected", "expected_on", "expected_date", "date_planned", "eta", "due_date", "verwacht",
        "verwacht_op",
    ),
    "received_at": ("received_on", "received_date", "date_received", "delivered_at", "ontvangen_op"),
    "supplier": (
        "supplier_name", "supplier_id", "vendor", "vendor_name", "vendor_id", "partner_id", "lieferant",
        "leverancier",
    ),
    "purchase_order": ("purchase_order_number", "po_number", "purchase_order_id", "po_id", "reference", "inkoopnummer"),
    "moved_at": (
        "moved", "moved_on", "created_at", "created", "date", "datum", "cree_le", "fecha", "geboekt",
        "geboekt_op",
    ),
    "units_per_kit": ("required_quantity", "quantity", "qty", "product_qty", "units", "menge", "anzahl", "aantal"),
}  # fmt: skip
# Names of columns that hold keys of the same source, which foreign keys do not tell apart.
KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "kit_components.product_id": (
        "kit_id", "kit_product_id", "bundle_id", "bundle_product_id", "parent_id", "bom_id", "product_id",
    ),
    "kit_components.component_id": (
        "component_id", "component_product_id", "part_id", "child_id", "item_id", "product_id",
    ),
}  # fmt: skip
