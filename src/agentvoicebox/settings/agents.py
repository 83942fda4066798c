"""Agents and agent kits, and the tools that agents declare."""

import ipaddress
from typing import Literal

from pydantic import BaseModel, Field, field_validator

from agentvoicebox.settings.values import comma_list


class AgentSettings(BaseModel):
    """Agents and agent kits, and the tools that agents declare.

    Attributes:
        kits: comma-separated agent kits (entry points of group `agentvoicebox.kits`, or `module:object`); empty: none.
        agents_dir: folder of additional agent files; empty: only the built-in agents and those of the kits.
        default_agent: the agent that answers to OpenAI's model names; empty: `assistant` where a language model server is set,
            else that of the first kit, or `assistant` without kits.
        unknown_model: what becomes of a session whose `model` is missing or unknown: `refuse`, or `default`, the default agent.
        tool_secret: key that signs each HTTP call of a tool declared by an agent; empty: calls are not signed.
        tool_private_networks: comma-separated private networks (10.1.0.0/16) in which declared tools are allowed.
    """

    kits: str = "delivery"
    agents_dir: str = ""
    default_agent: str = ""
    unknown_model: Literal["refuse", "default"] = "refuse"
    tool_secret: str = Field(default="", repr=False)
    tool_private_networks: str = ""

    @field_validator("tool_private_networks")
    @classmethod
    def _networks_are_networks(cls, value: str) -> str:
        for each in comma_list(value):
            try:
                ipaddress.ip_network(each)
            except ValueError as error:
                raise ValueError(f"{error}; give networks like 10.1.0.0/16") from None
        return value

    @property
    def kit_names(self) -> tuple[str, ...]:
        """Names of the agent kits, in order."""
        return comma_list(self.kits)

    @property
    def tool_networks(self) -> tuple[str, ...]:
        """Private networks in which declared tools are allowed."""
        return comma_list(self.tool_private_networks)
