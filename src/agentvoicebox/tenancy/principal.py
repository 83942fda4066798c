"""An authenticated caller."""

import re
from typing import Literal

import msgspec

from agentvoicebox.errors import PolicyDenied

Right = Literal["realtime", "client_secrets", "admin"]
RIGHTS: tuple[Right, ...] = ("realtime", "client_secrets", "admin")
USUAL_RIGHTS: tuple[Right, ...] = ("realtime", "client_secrets")
"""The default rights of a key: open sessions, and mint secrets for callers' browsers."""

TENANT_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
"""Valid ids of tenants and projects; reserved ids begin with an underscore."""


class Principal(msgspec.Struct, frozen=True):
    """A caller whose credentials were good.

    Attributes:
        key_id: the key that it showed, or that minted its ephemeral secret. Public; appears in the audit log.
        scopes: what it may do.
    """

    tenant_id: str
    key_id: str
    scopes: tuple[Right, ...] = USUAL_RIGHTS

    def require(self, right: Right) -> None:
        """Raise PolicyDenied unless the key has this right."""
        if right not in self.scopes:
            raise PolicyDenied(f"This API key has no right to '{right}'.", code="insufficient_permissions")
