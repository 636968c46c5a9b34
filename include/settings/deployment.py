"""What a deployment decides: whose shop, which warehouse, how a night works, who is told."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import time
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import psycopg
from pydantic import Field, NonNegativeInt, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource

from include.settings.engines import EngineSettings
from include.settings.lake import LakeSettings
from include.settings.one_of_several import of_one_shop
from include.settings.shops import ShopNames, current_shop
from include.settings.values import FROM_JSON, ROOT

NIGHT_AT: Final = time(4)  # when the night of the day before begins, in the shop's time zone
# Where a shop may say that its day is closed: a table of its database, or a queue that a provider of Airflow's reads.
_SAYS_CLOSED = re.compile(
    r"outbox://(?:[a-z_][a-z0-9_]*\.)?[a-z_][a-z0-9_]*|kafka://[A-Za-z0-9._-]+|redis\+pubsub://[^\s@/]+"
    r"|sqs://[A-Za-z0-9./_-]+"
)


class Settings(ShopNames, EngineSettings, LakeSettings):
    """What a deployment decides. Every field is the variable ``STOCKTAKE_<FIELD>``; secrets are ``SecretStr``.

    Of several shops each has its own, ``STOCKTAKE_BERLIN__<FIELD>``, and otherwise what is said for all.

    Raises:
        pydantic.ValidationError: naming the variable, when a value is missing or malformed.
    """

    shop_url: SecretStr = Field(description="The shop's Postgres, as a role that may only read it.")
    warehouse_url: SecretStr = Field(description="The warehouse's Postgres, as the role that owns what is published.")
    analyst_url: SecretStr | None = Field(
        default=None, description="The same warehouse, as a role that may only read what is published."
    )
    sources: Path = Field(
        default=ROOT / "include" / "sources" / "demo_shop",
        description="The folder of .sql files that read this shop into the source contracts.",
    )
    timezone: str = Field(default="UTC", description="The shop's time zone: it decides the business day.")
    overlap_minutes: int = Field(
        default=60, ge=0, description="How far behind the watermark changed rows are read again, for late commits."
    )
    shop_connections: int = Field(
        default=1,
        ge=1,
        le=64,
        description="On how many connections the shop's sources, and ranges of large ones, are read side by side, in "
        "one snapshot; each has its part of STOCKTAKE_MEMORY_LIMIT. Beside them a night opens one more, for moments, "
        "and STOCKTAKE_DAY_CLOSED=outbox holds one. Where the shop opens fewer, those read all.",
    )
    proof_every: Annotated[dict[str, NonNegativeInt], FROM_JSON, NoDecode] = Field(
        default={},
        description="Every how many nights the whole of a source is compared with the shop, by checksums, which "
        'costs a scan: {"inventory_movements": 7}; 0 is never, no entry every night. In other nights rows are counted '
        "and new keys compared.",
    )
    approval_hours: float = Field(
        default=4,
        gt=0,
        le=20,
        description="How long a night with more rows in quarantine than is tolerated waits for an operator's approval; "
        "no answer means no.",
    )
    batch_rows: int = Field(default=250_000, ge=1, description="Rows that the gate holds in memory at once.")
    slots: int | None = Field(
        default=None,
        ge=1,
        description="Of several shops: how many tasks of this one run at a time, the size of its pool in Airflow. "
        "Without it each has its part of AIRFLOW__CORE__PARALLELISM, and two at least.",
    )
    queues: Annotated[dict[str, str], FROM_JSON, NoDecode] = Field(
        default={},
        description="Which of CeleryExecutor's queues a task goes to, by the name of its source or table, else by its "
        'step: {"extract": "large", "builds": "large", "inventory_daily": "spark"}; all others to Airflow\'s default.',
    )
    retention_days: int = Field(
        default=30,
        ge=1,
        description="For how many days a night can be published again, and what is known of it is kept: its rows as "
        "they were read, the versions of its tables, its pages, its rows in the ledger.",
    )
    retention_safe_hours: int = Field(
        default=24,
        ge=6,
        description="For how many hours housekeeping touches nothing that was just written or replaced: longer than "
        "any run, for one under way may be writing or reading it.",
    )
    export_days: int = Field(
        default=7,
        ge=1,
        le=3650,
        description="For how many days the file of an export can be fetched, once it is written.",
    )
    api_rate: str = Field(
        default="600/minute",
        description="How many requests a user may send to the API, one limit: 10/second, 5000/hour.",
    )
    cache_url: SecretStr | None = Field(
        default=None,
        description="A Redis or Valkey, redis://…:6379/0 or rediss://, where processes of the API server share answers "
        "and the count of requests; without one, each has its own in memory. Set its maxmemory, with allkeys-lru.",
    )
    metrics_token: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="With this as its bearer token, Prometheus may scrape /stocktake/metrics, and nothing else: a login"
        " of Airflow's ends after a day. 32 characters or more. Without it, Airflow's own logins alone.",
    )
    alerts: Annotated[tuple[SecretStr, ...], FROM_JSON, NoDecode] = Field(
        default=(),
        description="Who is told when a night fails, waits or is late: Apprise's URLs, a list in JSON, such as "
        '["mailtos://user:password@example.com", "slack://…"]. Without one there is no DAG watch.',
    )
    published_by: time | None = Field(
        default=None,
        description="When the last closed day is to be published at the latest, in the shop's time zone: 06:30. "
        "Without it nobody is told that a night is late.",
    )
    day_closed: str | None = Field(
        default=None,
        description="Where the shop says that its day is closed, so that the night begins at once: outbox (the table "
        "stocktake_outbox of its database), outbox://schema.table, kafka://topic, redis+pubsub://channel, sqs://queue. "
        "How a queue is reached says Airflow's connection stocktake_day_closed. Without it, nights go by the clock.",
    )
    data_docs: bool = Field(
        default=False, description="Also render Great Expectations' Data Docs (pages that load remote files)."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base's names; neither is read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Where values come from, first the one that counts most."""
        shop = current_shop()
        read = (env_settings,) if shop is None else of_one_shop(settings_cls, shop)
        return (init_settings, *read)

    @field_validator("shop_url", "warehouse_url", "analyst_url")
    @classmethod
    def _postgres_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return value
        with suppress(psycopg.ProgrammingError):
            found = {
                name: str(part) for name, part in psycopg.conninfo.conninfo_to_dict(value.get_secret_value()).items()
            }
            # libpq takes the part of a password before a / for a port, and what follows for a database.
            misread = "@" in found.get("host", "") + found.get("dbname", "")
            if not misread and all(port.isdigit() for port in found.get("port", "5432").split(",")):
                return value
        # Said outside the handler: libpq's own words quote the URL, and with it the password.
        raise ValueError("is no URL of a Postgres database; in a password, % @ : / are written %25 %40 %3A %2F")

    @field_validator("api_rate")
    @classmethod
    def _known_rate(cls, value: str) -> str:
        from limits import parse_many  # 0.2 s, which only a deployment with a rate of its own pays

        with suppress(ValueError):
            rates = parse_many(value)
            if len(rates) == 1 and rates[0].amount > 0:
                return value
        raise ValueError(f"{value!r} is no rate of at least one request; one is 600/minute")

    @field_validator("cache_url")
    @classmethod
    def _redis_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        with suppress(ValueError):
            found = urlsplit(value.get_secret_value())
            # A password with a / ends the host early: what follows is no number of a database.
            database = re.fullmatch(r"/?\d*", found.path)
            if found.scheme in ("redis", "rediss") and found.hostname and found.port != 0 and database:
                return value
        # Said outside the handler: the error's own words may quote the URL, and with it the password.
        raise ValueError("is no redis://host:6379/0 or rediss://…; in a password, % @ : / are written %25 %40 %3A %2F")

    @field_validator("alerts")
    @classmethod
    def _channels(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for number, url in enumerate(value, 1):
            # Which services there are Apprise knows, which takes 0.5 s to load: the DAG watch asks it.
            if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://.", url.get_secret_value()):
                raise ValueError(f"number {number} is no URL of Apprise; one is mailtos://user:password@example.com")
        return value

    @field_validator("published_by")
    @classmethod
    def _after_the_night_begins(cls, value: time | None) -> time | None:
        if value is not None and (value.tzinfo or value <= NIGHT_AT):
            raise ValueError(
                f"{value} is no time of day, without a zone, after {NIGHT_AT:%H:%M}, when the night begins"
            )
        return value

    @field_validator("day_closed")
    @classmethod
    def _says_closed(cls, value: str | None) -> str | None:
        named = "outbox://stocktake_outbox" if value == "outbox" else value or None
        if named is None or _SAYS_CLOSED.fullmatch(named):
            return named
        # The value is not quoted: whoever takes it for the URL of a broker has a password in it.
        raise ValueError(
            "is none of outbox, outbox://schema.table, kafka://topic, redis+pubsub://channel, sqs://host/account/queue;"
            " server and password of a queue belong into AIRFLOW_CONN_STOCKTAKE_DAY_CLOSED"
        )

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except ZoneInfoNotFoundError as error:
            raise ValueError(f"there is no time zone {value!r}; one is Europe/Berlin") from error
        return value

    @field_validator("sources")
    @classmethod
    def _below_root(cls, value: Path) -> Path:
        return ROOT / value

    @field_validator("sources")
    @classmethod
    def _sources_folder(cls, value: Path) -> Path:
        if not any(value.glob("*.sql")):
            raise ValueError(f"{value} holds no .sql file; a shop is a folder with one <source>.sql per table")
        return value
