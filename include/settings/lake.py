"""Where the lake and the report pages are, and how an object store is reached."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from include.settings.values import FROM_JSON, ROOT, FromEnvironment

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


class LakeSettings(FromEnvironment):
    """Those of the lake, in a folder or an object store."""

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
    lake_options: Annotated[dict[str, SecretStr], FROM_JSON, NoDecode] = Field(
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
