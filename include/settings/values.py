"""What the settings have in common: where the project is, and values that are more than a word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from pydantic import BeforeValidator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX: Final = "STOCKTAKE_"
ROOT: Final = Path(__file__).resolve().parent.parent.parent


class FromEnvironment(BaseSettings):
    """Settings whose every field is the variable ``STOCKTAKE_<FIELD>``; an empty one counts as unset.

    What is wrong with a value is said without it: it may be a secret.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore", hide_input_in_errors=True
    )


def _from_json(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise ValueError(f"is no JSON: {error}") from None


# For what is more than a word. pydantic-settings decodes only what it reads from the environment itself.
FROM_JSON: Final = BeforeValidator(_from_json)
