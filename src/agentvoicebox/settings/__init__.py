"""The settings of the platform, a group a file. Agent kits bring groups of their own; see `kits.registry.load_settings`."""

from agentvoicebox.settings.settings import PREFIX, Settings

__all__ = ["PREFIX", "Settings"]
