"""Every setting of the system: its name, its default, what it may be. Read once, at start, from `AVB_…` variables.

Decides what a good set of settings is and names all faults at once, so that nobody mends them one start at a time.
Leaves what a setting does to whoever reads it; adapters never see this class, they take plain constructor arguments.
"""

import difflib
import ipaddress
import os
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from agentvoicebox.errors import SettingsError

PREFIX = "AVB_"
NEAR_ENOUGH = 0.6  # difflib's own default cutoff: one or two wrong letters in a name of eight
REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
POSTGRES_SCHEMES = ("postgresql://", "postgres://")

DEFAULT_TENANT = "default"  # whose callers and parcels they are while no tenants are set up


class Settings(BaseSettings):
    """The settings of one deployment; every process of it reads the same.

    Attributes:
        redis_url: Valkey/Redis 7 or later (`redis://…`, `rediss://…`, `unix://…`); empty: an embedded server.
        postgres_url: PostgreSQL 15 or later (`postgresql://…`); empty: an embedded server.
        data_dir: where embedded servers, recordings and caches live.
        host: address the gateway listens on; anything but loopback needs `api_keys`.
        port: 0 to 65535; 0 lets the system choose.
        api_keys: comma-separated bearer keys; empty is allowed on loopback alone, where any key is let in.
        agents_dir: folder of the user's own agent files; empty: only the built-in agents.
        default_agent: the agent that OpenAI's own model names stand for.
        stt_profile: which recogniser; `scripted` is for benchmarks.
        tts_order: comma-separated speech engines, tried from the left.
        tts_voice: voice that overrides the agents' own; empty: each agent's.
        models_dir: folder looked into before any other source of models; empty: none.
        llm_base_url, llm_api_key, llm_model: an OpenAI-compatible language model server; empty: none.
        log_level: least severity that is written.
        log_format: `json` (one object a line) or `console` (for eyes; shows people's words, so loopback only).
        resume_s: how long a session waits for a caller whose line broke and who said that he will come back; 0: not at all.
        max_calls: calls one gateway process admits at a time; the next is refused with 1013.
        stt_slots, tts_slots, llm_slots, tool_slots: jobs one worker process of that kind runs at a time.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    redis_url: str = Field(default="", repr=False)  # may carry a password
    postgres_url: str = Field(default="", repr=False)
    data_dir: str = Field(default="var", min_length=1)
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=0, le=65535)
    api_keys: str = Field(default="", repr=False, validate_default=True)
    agents_dir: str = ""
    default_agent: str = Field(default="delivery", min_length=1)
    stt_profile: Literal["fast", "accurate", "moonshine", "faster-whisper", "scripted"] = "fast"
    tts_order: str = "piper,kokoro,espeak"
    tts_voice: str = ""
    models_dir: str = ""
    llm_base_url: str = ""
    llm_api_key: str = Field(default="", repr=False)
    llm_model: str = ""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = Field(default="json", validate_default=True)
    max_calls: int = Field(default=24, ge=1, le=10_000)  # 24: what our two-core experiment carried (requirements, A6)
    resume_s: float = Field(default=30.0, ge=0, le=600)
    stt_slots: int = Field(default=2, ge=1, le=256)
    tts_slots: int = Field(default=2, ge=1, le=256)
    llm_slots: int = Field(default=32, ge=1, le=4096)  # these wait for the network, so far more fit in one process
    tool_slots: int = Field(default=32, ge=1, le=4096)

    @field_validator("redis_url")
    @classmethod
    def _redis_url_has_a_known_scheme(cls, value: str) -> str:
        return _with_scheme(value, REDIS_SCHEMES)

    @field_validator("postgres_url")
    @classmethod
    def _postgres_url_has_a_known_scheme(cls, value: str) -> str:
        return _with_scheme(value, POSTGRES_SCHEMES)

    @field_validator("llm_base_url")
    @classmethod
    def _llm_base_url_is_http(cls, value: str) -> str:
        return _with_scheme(value, ("http://", "https://"))

    @field_validator("tts_order")
    @classmethod
    def _tts_order_names_an_engine(cls, value: str) -> str:
        if not _split(value):
            raise ValueError("name at least one speech engine, for example piper,espeak")
        return value

    @field_validator("api_keys")
    @classmethod
    def _keys_guard_an_open_address(cls, value: str, info: ValidationInfo) -> str:
        host = info.data.get("host")  # absent when it was itself at fault
        if host is not None and not is_loopback(host) and not _split(value):
            raise ValueError(
                f"host {host} can be reached from outside, so give at least one key, or listen on 127.0.0.1"
            )
        return value

    @field_validator("log_format")
    @classmethod
    def _console_stays_at_home(cls, value: str, info: ValidationInfo) -> str:
        host = info.data.get("host")
        if value == "console" and host is not None and not is_loopback(host):
            raise ValueError("the console format may show callers' words; use json unless the host is loopback")
        return value

    @property
    def keys(self) -> tuple[str, ...]:
        """The bearer keys, in order; empty when any key is let in."""
        return _split(self.api_keys)

    @property
    def tts_engines(self) -> tuple[str, ...]:
        """Speech engines in the order of trial; at least one."""
        return _split(self.tts_order)

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the process environment and check it.

        Args:
            overrides: settings by field name; they win over the environment.

        Raises:
            SettingsError: naming every fault and its mend, one a line.
        """
        known = list(cls.model_fields)
        asked = {name.upper().removeprefix(PREFIX).lower() for name in os.environ if name.upper().startswith(PREFIX)}
        faults = [f"{_variable(name)}: no such setting{_nearest(name, known)}" for name in sorted(asked - set(known))]
        settings = None
        try:
            settings = cls(**overrides)
        except ValidationError as error:
            faults.extend(_said_plainly(fault["loc"], fault["msg"], known) for fault in error.errors())
        if faults or settings is None:
            raise SettingsError("these settings need mending:\n  " + "\n  ".join(faults))
        return settings

    def to_environment(self) -> dict[str, str]:
        """The same settings as `AVB_…` variables, secrets included, for a child process. Defaults are spelled out too."""
        return {_variable(name): str(value) for name, value in self.model_dump().items()}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host` (an address or a name; of names only `localhost` is trusted)."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _with_scheme(value: str, schemes: tuple[str, ...]) -> str:
    if value and not value.startswith(schemes):
        raise ValueError(f"should start with {' or '.join(schemes)}")
    return value


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=NEAR_ENOUGH)
    return f"; did you mean {_variable(near[0])}?" if near else ""


def _said_plainly(location: tuple[int | str, ...], message: str, known: list[str]) -> str:
    name = ".".join(str(part) for part in location)
    hint = _nearest(name, known) if name not in known else ""
    return f"{_variable(name)}: {message.removeprefix('Value error, ')}{hint}"
