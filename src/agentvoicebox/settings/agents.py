"""Who answers calls, and the tools that agents declare."""

import ipaddress

from pydantic import BaseModel, Field, field_validator

from agentvoicebox.settings.values import comma_list


class AgentSettings(BaseModel):
    """Who answers calls, and the tools that agents declare.

    Attributes:
        kits: comma-separated agent kits (entry points of group `agentvoicebox.kits`, or `module:object`); empty: none.
        agents_dir: folder of the user's own agent files; empty: only the built-in agents.
        default_agent: the agent that OpenAI's own model names stand for; empty: the first kit's, or `assistant` without kits.
        tool_secret: signs each call of an agent's own tools over HTTP; empty: calls are not signed.
        tool_private_networks: comma-separated networks (10.1.0.0/16) in which such tools may be although they are not public.
    """

    kits: str = "delivery"
    agents_dir: str = ""
    default_agent: str = ""
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
        """The agent kits, in order; empty for none."""
        return comma_list(self.kits)

    @property
    def tool_networks(self) -> tuple[str, ...]:
        """Private networks that tools may be reached in."""
        return comma_list(self.tool_private_networks)
