"""The identity of an authenticated caller."""

import re
from typing import Literal

import msgspec

from agentvoicebox.errors import PolicyDenied

Right = Literal["realtime", "client_secrets", "admin"]
RIGHTS: tuple[Right, ...] = ("realtime", "client_secrets", "admin")
DEFAULT_RIGHTS: tuple[Right, ...] = ("realtime", "client_secrets")
"""The rights of a key without explicit scopes: open sessions, and mint secrets for callers' browsers."""

TENANT_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
"""Valid ids of tenants (and projects); reserved ids begin with an underscore."""


class Principal(msgspec.Struct, frozen=True):
    """A caller with valid credentials.

    Attributes:
        key_id: the caller's key, or the key that minted its ephemeral secret. Public; recorded in the audit log.
        scopes: the key's rights.
    """

    tenant_id: str
    key_id: str
    scopes: tuple[Right, ...] = DEFAULT_RIGHTS

    def require(self, right: Right) -> None:
        """Raise PolicyDenied unless the key has this right."""
        if right not in self.scopes:
            raise PolicyDenied(f"This API key has no right to '{right}'.", code="insufficient_permissions")
