"""Every setting of a deployment: read once, at start, from `AVB_…` variables, and validated.

All faults are reported together. Adapters do not use this class; they take plain constructor arguments.
"""

import os
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from agentvoicebox.errors import SettingsError
from agentvoicebox.loopback import is_loopback
from agentvoicebox.settings.access import AccessSettings
from agentvoicebox.settings.agents import AgentSettings
from agentvoicebox.settings.engines import EngineSettings
from agentvoicebox.settings.events import EventSettings
from agentvoicebox.settings.faults import explained, no_such_setting
from agentvoicebox.settings.gateway import GatewaySettings
from agentvoicebox.settings.internal_ports import InternalPortSettings
from agentvoicebox.settings.outgoing_calls import OutgoingCallSettings
from agentvoicebox.settings.records import RecordSettings
from agentvoicebox.settings.stores import StoreSettings
from agentvoicebox.settings.telephony import TelephonySettings
from agentvoicebox.settings.traces import TraceSettings
from agentvoicebox.settings.values import PREFIX, is_here, variable
from agentvoicebox.settings.webhook import WebhookSettings
from agentvoicebox.settings.webrtc import WebRtcSettings


class Settings(
    BaseSettings,
    StoreSettings,
    GatewaySettings,
    AccessSettings,
    AgentSettings,
    EngineSettings,
    RecordSettings,
    TraceSettings,
    EventSettings,
    WebhookSettings,
    OutgoingCallSettings,
    TelephonySettings,
    WebRtcSettings,
    InternalPortSettings,
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
        secret = [name for name, field in cls.model_fields.items() if not field.repr]
        faults = [no_such_setting(name, known) for name in sorted(given - set(known))]
        settings = None
        try:
            settings = cls(**_with_no_kits(overrides))
        except ValidationError as error:
            faults.extend(explained(fault, known, secret) for fault in error.errors())
        if faults or settings is None:
            raise SettingsError("invalid settings:", faults)
        return settings

    @property
    def is_one_machine(self) -> bool:
        """Whether server and stores are for this machine alone; then tools and receivers of events on loopback are allowed."""
        stores = [each for each in (self.redis_url, self.postgres_url) if each]
        return is_loopback(self.host) and bool(stores) and all(map(is_here, stores))

    @property
    def targets_folder(self) -> Path:
        """Where each process lists its internal port."""
        return Path(self.targets_dir) if self.targets_dir else Path(self.data_dir) / "targets"

    def to_environment(self) -> dict[str, str]:
        """The settings as `AVB_…` variables for a child process, including secrets and defaults. What is None is left out."""
        return {variable(name): str(value) for name, value in self.model_dump().items() if value is not None}


def _with_no_kits(overrides: dict[str, Any]) -> dict[str, Any]:
    """An empty AVB_KITS means no kit. For all other variables an empty value means the default."""
    is_empty = os.environ.get(variable("kits")) == "" and "kits" not in overrides
    return {**overrides, "kits": ""} if is_empty else overrides
