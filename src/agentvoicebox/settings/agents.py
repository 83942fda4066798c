"""Agents and agent kits, and the tools that agents declare."""

from typing import Literal

from pydantic import BaseModel, Field, field_validator

from agentvoicebox.settings.values import comma_list, networks


class AgentSettings(BaseModel):
    """Agents and agent kits, and the tools that agents declare.

    Attributes:
        kits: comma-separated agent kits (entry points of the group `agentvoicebox.kits`, or `module:object`). Empty: none.
        agents_dir: folder of additional agent files. Empty: only the built-in agents and those of the kits.
        default_agent: the agent that answers to OpenAI's model names. Empty: `assistant` where a language model server is
            set, else the agent of the first kit, or `assistant` without kits.
        unknown_model: what happens to a session whose `model` is missing or unknown: it is refused (`refuse`), or the default
            agent answers (`default`).
        tool_secret: key that signs each HTTP call of a tool that an agent declares. Empty: calls are not signed.
        tool_private_networks: comma-separated private networks (`10.1.0.0/16`) in which declared tools are allowed.
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
        return networks(value)

    @property
    def kit_names(self) -> tuple[str, ...]:
        """Names of the agent kits, in order."""
        return comma_list(self.kits)

    @property
    def tool_networks(self) -> tuple[str, ...]:
        """Private networks in which declared tools are allowed."""
        return comma_list(self.tool_private_networks)
