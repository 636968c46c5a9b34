"""What builds the tables, on how much memory, and on which cluster."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from include.settings.values import FROM_JSON, FromEnvironment


class EngineSettings(FromEnvironment):
    """Those of the engines."""

    memory_limit: str = Field(
        default="512MB",
        description="Memory of DuckDB in a task, and half of that of a Dask worker or of Spark on this machine; what "
        "needs more spills to disk.",
    )
    engines: Annotated[dict[str, str], FROM_JSON, NoDecode] = Field(
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

    @field_validator("spark_remote")
    @classmethod
    def _connect_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        if re.fullmatch(r"sc://[^/;:@\s]+(:\d+)?(/?|/(;[\w.-]+=[^;=\s]*)+)", value.get_secret_value()):
            return value
        # pyspark quotes the URL, and with it the token, when it cannot read it.
        raise ValueError("is no sc://host:15002 or sc://host:15002/;token=…; in a token, ; = are written %3B %3D")

    @property
    def has_cluster(self) -> bool:
        """Whether tables may be built on other machines."""
        return bool(self.dask_scheduler or self.spark_master or self.spark_remote)
