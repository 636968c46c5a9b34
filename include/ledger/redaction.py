"""Removes secrets from texts that others will read: errors quote connection strings."""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress
from urllib.parse import quote, unquote, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr, ValidationError

from include.settings import Settings, settings
from include.settings.shops import UnknownShop, of_shop, shop_names

_HIDDEN = "***"
_SHORTEST_SECRET = 6  # characters; a shorter password may be an ordinary word in a text
_SHORTEST_TOKEN = 9  # characters, one of them a digit; anything else may be a word
_DIGIT = re.compile(r"\d")
_PART_OF_URL = re.compile(r"[/:@?&=]")
_IN_URL = re.compile(r"(://[^/\s:@]*:)[^@\s]+(?=@)")
_PASSWORD_OF_URL = re.compile(r"://[^/\s:@]*:([^@]+)@")
_IN_PAIR = re.compile(r"(\b\w*(?:password|passwd|secret|token)\s*[=:]\s*)('[^']*'|\"[^\"]*\"|[^\s'\",;)]+)", re.I)


def redacted(text: str) -> str:
    """``text`` without the secrets of this deployment, or anything else that looks like one."""
    for secret in _secrets():
        text = text.replace(secret, _HIDDEN)
    return _IN_PAIR.sub(rf"\1{_HIDDEN}", _IN_URL.sub(rf"\1{_HIDDEN}", text))


def _secrets() -> list[str]:
    """Every secret setting of every shop and the password in it, longest first."""
    known: list[Settings] = []
    with suppress(ValidationError):  # an incomplete environment has no known secrets
        for shop in shop_names() or (None,):
            with suppress(ValidationError, UnknownShop), of_shop(shop):
                known.append(settings())
    values = [
        one.get_secret_value()
        for of_one in known
        for _, value in of_one
        for one in _parts(value)
        if isinstance(one, SecretStr)
    ]
    as_written = [match[1] for value in values for match in _PASSWORD_OF_URL.finditer(value)]
    passwords = [unquote(password) for password in as_written]
    for value in values:
        with suppress(psycopg.ProgrammingError):  # not every secret is a Postgres, and libpq's words would quote it
            passwords.append(str(conninfo_to_dict(value).get("password") or ""))
    # A channel's URL may be made of tokens: slack://…/…/….
    tokens = [token for of_one in known for url in of_one.alerts for token in _tokens(url.get_secret_value())]
    found = {*values, *passwords, *as_written, *tokens, *(quote(password, safe="") for password in passwords)}
    return sorted((secret for secret in found if len(secret) >= _SHORTEST_SECRET), key=len, reverse=True)


def _parts(value: object) -> Collection[object]:
    """A setting's values: those of a list or a dictionary, else the one."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, tuple) else [value]


def _tokens(url: str) -> list[str]:
    """What in a channel's URL may be a token: not the name of a server, which other texts need."""
    server = urlsplit(url).netloc.rpartition("@")[2].partition(":")[0]
    parts = [part for part in _PART_OF_URL.split(url) if len(part) >= _SHORTEST_TOKEN and _DIGIT.search(part)]
    return [part for part in parts if part != server or "." not in server]
