"""No secret of this deployment stays in a text that others read, in whatever form it stands there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from include.ledger.redaction import redacted
from include.settings import settings

SECRET = "Sup3r/Sec?ret@9"  # noqa: S105 - nobody's
ENCODED = "Sup3r%2FSec%3Fret%409"


@pytest.fixture(
    params=[
        f"postgresql://loader:{ENCODED}@host/db",
        "postgresql://loader:Sup3r%2fSec?ret%409@host/db",
        f"postgresql://loader@host/db?password={ENCODED}",
        f"host=host user=loader dbname=db password='{SECRET}'",
    ],
    ids=["url", "url, as little encoded as will do", "parameter", "key=value"],
)
def url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A warehouse's URL in a form that libpq takes."""
    monkeypatch.setenv("STOCKTAKE_WAREHOUSE_URL", request.param)
    monkeypatch.setenv("STOCKTAKE_SHOP_URL", "postgresql://extractor@host/shop")
    settings.cache_clear()
    yield str(request.param)
    settings.cache_clear()


def test_a_password_is_hidden_wherever_it_stands(url: str) -> None:
    told = [
        f"cannot attach {url}", f"the words {SECRET} alone", f"encoded {ENCODED}", f"None@{SECRET}@host",
        f"password={SECRET} host=host", f"dsn \"password='{SECRET}'\"",
    ]  # fmt: skip
    for text in told:
        for part in (SECRET, ENCODED, "Sup3r", "Sec?ret"):
            assert part not in redacted(text)
    assert redacted("nothing to hide of loader at host/db") == "nothing to hide of loader at host/db"


def test_keys_of_the_object_store_are_hidden(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCKTAKE_LAKE_KEY_ID", "AKIAOFTHELAKE")
    monkeypatch.setenv("STOCKTAKE_LAKE_SECRET", "key-of-the-lake")
    monkeypatch.setenv("STOCKTAKE_LAKE_OPTIONS", '{"aws_session_token": "token-of-the-lake"}')
    settings.cache_clear()
    told = redacted(f"{url} AKIAOFTHELAKE key-of-the-lake token-of-the-lake")
    assert "of-the-lake" not in told.lower()
    assert "ofthelake" not in told.lower()
