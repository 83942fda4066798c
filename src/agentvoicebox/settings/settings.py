"""Every setting of a deployment: read once, at start, from `AVB_…` variables, and validated.

All faults are reported together. Adapters do not use this class; they take plain constructor arguments.
"""

import difflib
import os
from typing import Any, Self

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from agentvoicebox.errors import SettingsError
from agentvoicebox.settings.access import AccessSettings
from agentvoicebox.settings.agents import AgentSettings
from agentvoicebox.settings.engines import EngineSettings
from agentvoicebox.settings.gateway import GatewaySettings
from agentvoicebox.settings.records import RecordSettings
from agentvoicebox.settings.stores import StoreSettings
from agentvoicebox.settings.webhook import WebhookSettings

PREFIX = "AVB_"
CLOSE_MATCH = 0.6  # difflib's own default cutoff: one or two wrong letters in a name of eight


class Settings(
    BaseSettings,
    StoreSettings,
    GatewaySettings,
    AccessSettings,
    AgentSettings,
    EngineSettings,
    RecordSettings,
    WebhookSettings,
):
    """The settings of one deployment, the same for all its processes. The fields are documented in their groups."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read and validate the process environment.

        Args:
            overrides: settings by field name; they win over the environment.

        Raises:
            SettingsError: one line for each fault, with its fix.
        """
        known = list(cls.model_fields)
        given = {name.upper().removeprefix(PREFIX).lower() for name in os.environ if name.upper().startswith(PREFIX)}
        faults = [f"{variable(name)}: no such setting{_suggestion(name, known)}" for name in sorted(given - set(known))]
        settings = None
        try:
            settings = cls(**_with_no_kits(overrides))
        except ValidationError as error:
            faults.extend(_explained(fault["loc"], fault["msg"], known) for fault in error.errors())
        if faults or settings is None:
            raise SettingsError("invalid settings:\n  " + "\n  ".join(faults))
        return settings

    def to_environment(self) -> dict[str, str]:
        """The settings as `AVB_…` variables for a child process, including secrets and defaults. What is None is left out."""
        return {variable(name): str(value) for name, value in self.model_dump().items() if value is not None}


def variable(name: str) -> str:
    """The environment variable of a field."""
    return PREFIX + name.upper()


def _with_no_kits(overrides: dict[str, Any]) -> dict[str, Any]:
    """An empty AVB_KITS means no kit. For all other variables an empty value means the default."""
    is_empty = os.environ.get(variable("kits")) == "" and "kits" not in overrides
    return {**overrides, "kits": ""} if is_empty else overrides


def _suggestion(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=CLOSE_MATCH)
    return f"; did you mean {variable(near[0])}?" if near else ""


def _explained(location: tuple[int | str, ...], message: str, known: list[str]) -> str:
    name = ".".join(str(part) for part in location)
    hint = _suggestion(name, known) if name not in known else ""
    return f"{variable(name)}: {message.removeprefix('Value error, ')}{hint}"
