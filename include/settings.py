"""Settings: the only reader of the environment.

Belongs here: every value that a deployment may change, with its type, its default and what it means.
Does not: anything computed from data, and anything a night is told when it is started (date, engine, …).
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import psycopg
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """What a deployment decides. Every field is the variable ``STOCKTAKE_<FIELD>``; secrets are ``SecretStr``.

    Raises:
        pydantic.ValidationError: naming the variable, when a value is missing or malformed.
    """

    model_config = SettingsConfigDict(env_prefix="STOCKTAKE_", frozen=True, extra="ignore", hide_input_in_errors=True)

    shop_url: SecretStr = Field(description="The shop's Postgres, as a role that may only read it.")
    warehouse_url: SecretStr = Field(description="The warehouse's Postgres, as the role that owns what is published.")
    analyst_url: SecretStr | None = Field(
        default=None, description="The same warehouse, as a role that may only read what is published."
    )
    lake: Path = Field(default=ROOT / ".stocktake" / "demo_shop" / "lake", description="The folder of the Delta lake.")
    reports: Path = Field(
        default=ROOT / ".stocktake" / "demo_shop" / "reports", description="Where each night's report page is written."
    )
    sources: Path = Field(
        default=ROOT / "include" / "sources" / "demo_shop",
        description="The folder of .sql files that read this shop into the source contracts.",
    )
    timezone: str = Field(default="UTC", description="The shop's time zone: it decides the business day.")
    overlap_minutes: int = Field(
        default=60, ge=0, description="How far behind the watermark changed rows are read again, for late commits."
    )
    batch_rows: int = Field(default=1_000_000, ge=1, description="Rows that the gate holds in memory at once.")
    memory_limit: str = Field(default="512MB", description="DuckDB's memory limit in a task; beyond it spills to disk.")
    data_docs: bool = Field(
        default=False, description="Also render Great Expectations' Data Docs (pages that load remote files)."
    )

    @field_validator("shop_url", "warehouse_url", "analyst_url")
    @classmethod
    def _postgres_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return value
        with suppress(psycopg.ProgrammingError):
            psycopg.conninfo.conninfo_to_dict(value.get_secret_value())
            return value
        # Said outside the handler: libpq's own words quote the URL, and with it the password.
        raise ValueError("is no URL of a Postgres database; in a password, % @ : / are written %25 %40 %3A %2F")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except ZoneInfoNotFoundError as error:
            raise ValueError(f"there is no time zone {value!r}; one is Europe/Berlin") from error
        return value

    @field_validator("lake", "reports", "sources")
    @classmethod
    def _below_root(cls, value: Path) -> Path:
        return ROOT / value

    @field_validator("sources")
    @classmethod
    def _sources_folder(cls, value: Path) -> Path:
        if not any(value.glob("*.sql")):
            raise ValueError(f"{value} holds no .sql file; a shop is a folder with one <source>.sql per table")
        return value


@cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
