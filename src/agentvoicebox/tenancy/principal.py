"""Who somebody is, once the gate has let him in."""

import re
from typing import Literal

import msgspec

from agentvoicebox.errors import PolicyDenied

Right = Literal["realtime", "client_secrets", "admin"]
RIGHTS: tuple[Right, ...] = ("realtime", "client_secrets", "admin")
USUAL_RIGHTS: tuple[Right, ...] = ("realtime", "client_secrets")
"""What a key may do that says nothing else: open sessions, and mint secrets for callers' browsers."""

TENANT_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
"""What tenants (and projects) may be called; ids that we reserve begin with an underscore."""


class Principal(msgspec.Struct, frozen=True):
    """A caller whose credentials were good.

    Attributes:
        key_id: the key it came with, or whose ephemeral secret it came with. Public; stands in the audit log.
        scopes: what it may do.
    """

    tenant_id: str
    key_id: str
    scopes: tuple[Right, ...] = USUAL_RIGHTS

    def require(self, right: Right) -> None:
        """Raise PolicyDenied unless the key has this right."""
        if right not in self.scopes:
            raise PolicyDenied(f"This API key has no right to '{right}'.", code="insufficient_permissions")
