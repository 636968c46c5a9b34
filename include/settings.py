"""Settings: the only reader of the environment.

Belongs here: every value that a deployment may change, with its type, its default and what it means.
Does not: anything computed from data, and anything a night is told when it is started (date, engine, …).
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import time
from functools import cache
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import psycopg
from pydantic import BeforeValidator, Field, NonNegativeInt, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent
NIGHT_AT: Final = time(4)  # when the night of the day before begins, in the shop's time zone


# Tried with deltalake 1.6: it panics, or looks for the table in another folder.
_REFUSED_BY_DELTA = re.compile(r"[\[\]\\^|\x00-\x1f]|%[0-9A-Fa-f]{2}")
_OBJECT_STORES = ("s3", "gs", "abfss")
_ANY_URL = re.compile(r"\w+:/")
_CLOUDS = ("aws_", "google_", "azure_")
_CLIENT_OPTIONS = ("allow_http", "allow_invalid_certificates", "connect_timeout", "timeout", "proxy_url")
_OWN_OPTIONS = {
    "endpoint": "lake_endpoint", "endpoint_url": "lake_endpoint", "region": "lake_region",
    "default_region": "lake_region", "access_key_id": "lake_key_id", "secret_access_key": "lake_secret",
}  # fmt: skip
_URL = re.compile(r"[A-Za-z0-9._@=-]+(/[A-Za-z0-9._=-]+)*/?")  # what no library writes in another way than the next


def _from_json(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise ValueError(f"is no JSON: {error}") from None


# Where a shop may say that its day is closed: a table of its database, or a queue that a provider of Airflow's reads.
_SAYS_CLOSED = re.compile(
    r"outbox://(?:[a-z_][a-z0-9_]*\.)?[a-z_][a-z0-9_]*|kafka://[A-Za-z0-9._-]+|redis\+pubsub://[^\s@/]+"
    r"|sqs://[A-Za-z0-9./_-]+"
)

# For what is more than a word. pydantic-settings decodes only what it reads from the environment itself.
_FROM_JSON = BeforeValidator(_from_json)


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
    lake: str = Field(
        default=str(ROOT / ".stocktake" / "demo_shop" / "lake"),
        description="Where the Delta lake is: a folder, or s3://bucket/prefix, gs://…, abfss://….",
    )
    lake_endpoint: str | None = Field(
        default=None, description="The server of an s3:// that is not Amazon's: https://s3.example.com."
    )
    lake_region: str | None = Field(default=None, description="The region of an s3:// bucket.")
    lake_key_id: SecretStr | None = Field(
        default=None, description="The access key of an s3:// bucket; without one, the role that the machine has."
    )
    lake_secret: SecretStr | None = Field(default=None, description="The secret of that key.")
    lake_options: Annotated[dict[str, SecretStr], _FROM_JSON, NoDecode] = Field(
        default={},
        description="What else it takes to reach the object store, by the names of Rust's object_store: "
        '{"google_service_account": "…"}, {"azure_storage_account_key": "…"}, {"aws_session_token": "…"}.',
    )
    lake_retry_seconds: int = Field(
        default=60,
        ge=1,
        description="For how long a request to an object store that is away or overloaded is tried again before the "
        "task fails, which is then tried again itself.",
    )
    reports: str = Field(
        default=str(ROOT / ".stocktake" / "demo_shop" / "reports"),
        description="Where each night's report page is written: a folder, or a URL beside the lake's.",
    )
    folder_mode: str = Field(
        default="0700",
        pattern=r"^0?[0-7]{3}$",
        description="Who may enter both folders, as chmod takes it: they hold personal data. Where tasks or a "
        "cluster's workers are other users: 0750, with a group that they share.",
    )
    sources: Path = Field(
        default=ROOT / "include" / "sources" / "demo_shop",
        description="The folder of .sql files that read this shop into the source contracts.",
    )
    timezone: str = Field(default="UTC", description="The shop's time zone: it decides the business day.")
    overlap_minutes: int = Field(
        default=60, ge=0, description="How far behind the watermark changed rows are read again, for late commits."
    )
    proof_every: Annotated[dict[str, NonNegativeInt], _FROM_JSON, NoDecode] = Field(
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
    memory_limit: str = Field(
        default="512MB",
        description="Memory of DuckDB in a task, and half of that of a Dask worker or of Spark on this machine; what "
        "needs more spills to disk.",
    )
    engines: Annotated[dict[str, str], _FROM_JSON, NoDecode] = Field(
        default={},
        description='Which engine builds a table when the night is asked for "auto", such as '
        '{"inventory_daily": "duckdb"}; other tables by the size of their inputs.',
    )
    dask_scheduler: str | None = Field(
        default=None, description="A Dask cluster, tcp://…:8786; without one, Dask runs on processes of this machine."
    )
    spark_master: str | None = Field(
        default=None, description="A Spark cluster, spark://…:7077; without one, Spark runs on this machine's cores."
    )
    spark_remote: SecretStr | None = Field(
        default=None,
        description="A Spark Connect server that you run, sc://…:15002, with what else its URL needs (/;token=…); "
        "without one, the builds of a night share one here, which does its work on spark_master.",
    )
    engine_fallback: Literal["pandas", "duckdb", "dask", "spark"] | None = Field(
        default=None,
        description="What builds a table after its engine ran out of memory: duckdb, say. Without it the night stops "
        "there.",
    )
    server_idle_seconds: float = Field(
        default=60,
        ge=0,
        description="For how long the Dask or Spark that the builds of a night share on this machine stays when "
        "none uses it.",
    )
    parity_percent: int = Field(
        default=20, ge=1, le=100, description="Of the tables of a night that was told to compare two engines, how many."
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
    alerts: Annotated[tuple[SecretStr, ...], _FROM_JSON, NoDecode] = Field(
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

    @field_validator("metrics_token", mode="before")
    @classmethod
    def _none_if_empty(cls, value: object) -> object:
        return value or None

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

    @field_validator("spark_remote")
    @classmethod
    def _connect_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        if re.fullmatch(r"sc://[^/;:@\s]+(:\d+)?(/?|/(;[\w.-]+=[^;=\s]*)+)", value.get_secret_value()):
            return value
        # pyspark quotes the URL, and with it the token, when it cannot read it.
        raise ValueError("is no sc://host:15002 or sc://host:15002/;token=…; in a token, ; = are written %3B %3D")

    @field_validator("engine_fallback", mode="before")
    @classmethod
    def _no_engine_if_empty(cls, value: object) -> object:
        return value or None

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

    @property
    def has_cluster(self) -> bool:
        """Whether tables may be built on other machines."""
        return bool(self.dask_scheduler or self.spark_master or self.spark_remote)

    @property
    def storage_options(self) -> dict[str, str]:
        """How the object store is reached, by the names of Rust's object_store; with secrets."""
        said = {
            "aws_endpoint": self.lake_endpoint,
            "aws_region": self.lake_region,
            "aws_access_key_id": self.lake_key_id and self.lake_key_id.get_secret_value(),
            "aws_secret_access_key": self.lake_secret and self.lake_secret.get_secret_value(),
            "allow_http": "true" if (self.lake_endpoint or "").startswith("http://") else None,
        }
        others = {name.lower(): value.get_secret_value() for name, value in self.lake_options.items()}
        return {name: value for name, value in said.items() if value} | others

    @field_validator("lake_endpoint", "lake_region", "lake_key_id", "lake_secret", mode="before")
    @classmethod
    def _none_if_unsaid(cls, value: object) -> object:
        return value or None

    @field_validator("sources")
    @classmethod
    def _below_root(cls, value: Path) -> Path:
        return ROOT / value

    @field_validator("lake", "reports")
    @classmethod
    def _folder_or_url(cls, value: str) -> str:
        if not _ANY_URL.match(value):
            return str(ROOT / value)
        scheme, _, rest = value.partition("://")
        if scheme not in _OBJECT_STORES or not _URL.fullmatch(rest):
            # Not quoted: there may be a key in it.
            raise ValueError(
                "is no folder and no s3://bucket/prefix (or gs://, abfss://) of letters, digits and . _ - =; keys"
                " belong into settings of their own"
            )
        return value.rstrip("/")

    @field_validator("lake_options")
    @classmethod
    def _known_options(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name in value:
            if not name.lower().startswith(_CLOUDS) and name.lower() not in _CLIENT_OPTIONS:
                raise ValueError(f"{name!r} begins with none of {', '.join(_CLOUDS)}: as in aws_session_token")
            if (own := _OWN_OPTIONS.get(name.lower().removeprefix("aws_"))) is not None:
                raise ValueError(f"{name!r} has a setting of its own: {own}")
        return value

    @model_validator(mode="after")
    def _whole_key(self) -> Self:
        if (self.lake_key_id is None) != (self.lake_secret is None):
            raise ValueError("lake_key_id and lake_secret go together: give both, or none")
        return self

    @model_validator(mode="before")
    @classmethod
    def _reports_beside_lake(cls, values: dict[str, object]) -> dict[str, object]:
        """Report pages lie beside the lake, where nothing else is said; in a bucket, in its prefix."""
        lake = str(values.get("lake") or "")
        if not lake or values.get("reports"):
            return values
        beside = f"{lake.rstrip('/')}/reports" if "://" in lake else str(Path(lake).parent / "reports")
        return values | {"reports": beside}

    @field_validator("lake")
    @classmethod
    def _folder_for_delta(cls, value: str) -> str:
        if found := _REFUSED_BY_DELTA.search(value):
            raise ValueError(
                f"{value}: Delta keeps no tables in a folder with {found[0]!r} in its path; choose one without"
                " [ ] \\ ^ | and %20"
            )
        return value

    @field_validator("sources")
    @classmethod
    def _sources_folder(cls, value: Path) -> Path:
        if not any(value.glob("*.sql")):
            raise ValueError(f"{value} holds no .sql file; a shop is a folder with one <source>.sql per table")
        return value


class Parameters(BaseSettings):
    """What a shop may see differently: lead times, service levels, class limits, stages. Variables as above.

    Published columns quote these numbers in their comments. Here belongs what a shop may change without a column being
    called otherwise; the length of a window that is part of a column's name does not.

    Raises:
        pydantic.ValidationError: naming the variable, when a value is malformed or limits are not in order.
    """

    model_config = SettingsConfigDict(env_prefix="STOCKTAKE_", frozen=True, extra="ignore")

    active_days: int = Field(default=90, ge=1, description="An order within so many days makes a customer active.")
    lapsed_days: int = Field(default=365, ge=1, description="No order for longer than this makes a customer lapsed.")
    cohort_months: int = Field(
        default=24, ge=1, description="How many months after their first order a cohort is followed."
    )
    lead_time_days: int = Field(
        default=7, ge=0, description="Days from ordering goods to having them on the shelf, on average."
    )
    lead_time_days_std: int = Field(default=2, ge=0, description="Standard deviation of that, in days.")
    service_level_z: float = Field(
        default=1.645,
        ge=0,
        description="Standard normal quantile of the share of replenishments that shall arrive before the shelf is "
        "empty: 1.645 is 95 %.",
    )
    cover_days: int = Field(default=28, ge=0, description="Days of demand that an order lasts beyond its lead time.")
    overstock_days: int = Field(default=90, ge=1, description="More days of supply than this are too many.")
    dead_stock_days: int = Field(default=90, ge=1, description="Stock of which nothing sold for so long is dead.")
    abc_a_percent: int = Field(
        default=80, ge=1, le=100, description="Products up to this share of net sales, largest first, are class A."
    )
    abc_b_percent: int = Field(default=95, ge=1, le=100, description="Those after them up to this share are class B.")
    xyz_x: float = Field(
        default=0.5, ge=0, description="The most that weekly units of class X vary (coefficient of variation)."
    )
    xyz_y: float = Field(default=1.0, ge=0, description="The same for class Y.")
    adi_cut: float = Field(
        default=1.32, ge=1, description="Average demand interval from which demand is intermittent: Syntetos-Boylan's."
    )
    cv2_cut: float = Field(
        default=0.49, ge=0, description="Squared variation of the sizes from which demand is erratic: theirs too."
    )
    on_time_hours: int = Field(default=48, ge=1, description="Hours within which an order should leave the warehouse.")
    out_of_stock_reasons: Annotated[tuple[str, ...], _FROM_JSON, NoDecode] = Field(
        default=("out_of_stock",), description="Cancellation reasons that mean that the goods were not there."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        pairs = (("active_days", "lapsed_days"), ("abc_a_percent", "abc_b_percent"), ("xyz_x", "xyz_y"))
        for lesser, greater in pairs:
            least, most = getattr(self, lesser), getattr(self, greater)
            if least > most:
                raise ValueError(f"{lesser} ({least}) is more than {greater} ({most})")
        return self


@cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
