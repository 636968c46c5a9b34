"""A drawn table that cannot be read says which table, and which column or row."""

from __future__ import annotations

import pytest

from include.sources import SOURCES
from tests.transforms.conftest import rows


@pytest.mark.parametrize(
    ("drawn", "said"),
    [
        ("order_id total\n1 10.00", "orders has no column total; there are order_id, .*total_cents"),
        ("order_id status\n1 shipped late", "orders, row '1 shipped late': 3 values under 2 columns"),
        ("order_id shipped_at\n1 null", "orders, row '1 null': Invalid isoformat string: 'null'; a null is drawn as -"),
    ],
)
def test_what_is_wrong_is_named(drawn: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        rows(SOURCES["orders"], drawn)


def test_a_null_is_drawn_as_a_dash() -> None:
    assert rows(SOURCES["orders"], "order_id shipped_at\n1 -") == [{"order_id": 1, "shipped_at": None}]
