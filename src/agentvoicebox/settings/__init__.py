"""The settings of the platform, one group a file. Agent kits add their own groups; see `kits.registry.load_settings`."""

from agentvoicebox.settings.settings import Settings
from agentvoicebox.settings.values import PREFIX

__all__ = ["PREFIX", "Settings"]
