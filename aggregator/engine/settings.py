"""The service's settings: environment `CROSSMARGIN_*` over a settings file over these defaults. Described in docs/settings.md."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from platformdirs import user_data_path
from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource
from yaml import YAMLError

from aggregator.model.errors import ConfigurationError, InputError

PREFIX = "CROSSMARGIN_"
FILE_VARIABLE = "CROSSMARGIN_SETTINGS"


def _listed(value: Any) -> Any:
    """Lists stand in the environment as words between commas."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


def _default_database() -> SecretStr:
    return SecretStr(f"sqlite:///{user_data_path('crossmargin') / 'crossmargin.db'}")


class Settings(BaseSettings):
    """Everything that can be set. Secrets show nothing of themselves."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, env_ignore_empty=True)

    database_url: SecretStr = Field(default_factory=_default_database)
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    public_host: str = ""
    log: str = "INFO"

    chains_file: Path | None = None
    chains: Words = ()
    rpc: Words = Field(default=(), repr=False)
    discover: bool = False
    websocket: bool = True
    poll_seconds: Seconds | None = None
    sweep_seconds: Seconds = 300.0
    haircuts_seconds: Seconds = 300.0
    venues: bool = False
    venue_urls: Words = Field(default=(), repr=False)
    venue_seconds: Seconds = 15.0

    maximum_watched: Count = 100_000
    batch_owners: Annotated[int, Field(ge=1, le=100)] = 24
    guests: Count = 500
    guest_seconds: Seconds = 600.0
    workers: Annotated[int, Field(ge=0, le=64)] = 1
    minimum_coverage: Share = 0.5

    reads_per_minute: Count = 600
    writes_per_minute: Count = 60
    trusted_proxies: Annotated[int, Field(ge=0, le=16)] = 0
    cors_origins: Words = ("*",)
    maximum_streams: Count = 5_000
    maximum_streams_per_address: Count = 50

    signing_key: SecretStr | None = None
    signing_key_file: Path | None = None
    signing_password: SecretStr | None = None
    signer_command: SecretStr | None = None
    attestation_seconds: Annotated[int, Field(ge=60, le=86_400)] = 900
    epoch_seconds: Annotated[int, Field(ge=10, le=86_400)] = 600

    history_days: Count = 365
    events_days: Count = 7
    population: str | None = None
    population_seconds: Seconds = 600.0
    journals: Path | None = None
    allow_private_webhooks: bool = False

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = os.environ.get(FILE_VARIABLE)
        sources: tuple[PydanticBaseSettingsSource, ...] = (init_settings, env_settings)
        return (*sources, YamlConfigSettingsSource(settings_cls, yaml_file=file)) if file else sources


def load_settings(**given: Any) -> Settings:
    """The settings in force; `given` come before everything else. InputError names the setting and never shows its value."""
    file = os.environ.get(FILE_VARIABLE)
    if file and not Path(file).is_file():
        raise ConfigurationError(file, None, FILE_VARIABLE, "expected a settings file")
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = f"{PREFIX}{str(first['loc'][0]).upper()}" if first["loc"] else FILE_VARIABLE
        raise InputError(f"{name}: {first['msg']}") from None
    except (ValueError, TypeError, AttributeError, YAMLError) as error:
        raise ConfigurationError(file or "environment", None, "", f"expected settings by name: {type(error).__name__}") from None


def journal_folder(settings: Settings) -> Path:
    """Where alerts' journals are kept: as set, or beside a SQLite file, or in the user's data folder."""
    if settings.journals is not None:
        return settings.journals
    kind, _, file = settings.database_url.get_secret_value().partition(":///")
    return Path(f"{file}.journals") if kind.startswith("sqlite") and file else user_data_path("crossmargin") / "journals"
