"""The words that the simulated shop is made of."""

from __future__ import annotations

from typing import Final

CATEGORIES: Final = {
    "coffee": ("Espresso Beans", "Filter Roast", "Decaf Blend", "Cold Brew Kit", "Coffee Sampler"),
    "tea": ("Green Tea", "Earl Grey", "Rooibos", "Herbal Infusion", "Oolong"),
    "kitchen": ("Moka Pot", "Hand Grinder", "Milk Frother", "Kettle", "Mug Set"),
    "bakery": ("Rye Flour", "Sourdough Starter", "Baking Stone", "Proofing Basket", "Bread Knife"),
    "sweets": ("Dark Chocolate", "Caramel Box", "Almond Nougat", "Marzipan", "Ginger Biscuits"),
    "garden": ("Herb Seeds", "Watering Can", "Terracotta Pot", "Pruner", "Potting Soil"),
    "home": ("Linen Napkins", "Candle", "Serving Tray", "Storage Jar", "Apron"),
    "gifts": ("Gift Box", "Gift Card Holder", "Tasting Set", "Hamper", "Recipe Book"),
}
VARIANTS: Final = ("Classic", "Organic", "Large", "Small", "Limited", "Family", "Travel", "Premium")

WAREHOUSES: Final = (("BER", "Berlin East", "DE"), ("LYO", "Lyon Sud", "FR"), ("NJC", "New Jersey Central", "US"))
"""Code, name and country of each warehouse."""

FIRST_NAMES: Final = (
    "Ada", "Ben", "Chloé", "Daan", "Elif", "Finn", "Grace", "Hugo", "Ines", "Jonas", "Kaja", "Liam", "Mia", "Noah",
    "Olga", "Paul", "Quinn", "Rosa", "Sven", "Tara", "Uma", "Vera", "Wim", "Xenia", "Yusuf", "Zoë",
)  # fmt: skip
LAST_NAMES: Final = (
    "Albrecht", "Bernard", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Huber", "Ivanova", "Jansen", "Keller",
    "Lopez", "Martin", "Nowak", "O'Brien", "Petit", "Quispe", "Rossi", "Schmidt", "Thomas", "Usman", "Vogel",
    "Williams", "Yilmaz", "Ziegler",
)  # fmt: skip
STREETS: Final = ("Station Road", "Mill Lane", "Church Street", "Garden Way", "River Walk", "Market Square", "Hill Top")
CITIES: Final = {
    "DE": ("Berlin", "Hamburg", "Leipzig", "München"),
    "FR": ("Lyon", "Paris", "Nantes"),
    "US": ("Newark", "Boston", "Albany"),
    "NL": ("Utrecht", "Rotterdam"),
    "AT": ("Wien", "Graz"),
}
HOME_WAREHOUSE: Final = {"DE": 0, "NL": 0, "AT": 0, "FR": 1, "US": 2}
"""Which of WAREHOUSES serves a country first."""
COUNTRY_WEIGHTS: Final = {"DE": 45, "FR": 25, "US": 14, "NL": 9, "AT": 7}

CARRIERS: Final = ("DHL", "UPS", "DPD")
"""Who carries parcels; the first one carries most."""

CHANNELS: Final = {"web": 0.46, "app": 0.31, "marketplace": 0.13, "store": 0.07, "phone": 0.03}
"""Where orders are placed, and the share of each."""

CODES: Final = ("", "WELCOME", "NEWSLETTER", "FRIENDS")
"""What customers type in for a discount on their order, and nothing; a code gives whatever is off that day."""

PROMOTIONS: Final = ("", "Offer of the week", "Last chance")
"""What takes something off a single line; some offers have no name."""

GUESTS: Final = 0.04
"""The share of orders that are placed without an account."""

CANCELLATIONS: Final = (
    ("customer", "changed_mind", 0.42),
    ("customer", "ordered_by_mistake", 0.18),
    ("shop", "out_of_stock", 0.22),
    ("system", "payment_failed", 0.14),
    ("shop", "fraud_suspected", 0.04),
)
"""Who cancels, why, and the share of cancellations."""
