"""The limits of a deployment."""

import msgspec

from agentvoicebox.limits.allowance import Allowance


class LimitConfig(msgspec.Struct, frozen=True):
    """How much the deployment allows; without arguments there are no limits.

    Attributes:
        all_tenants: together.
        tenant: each of them; its own row may set other limits.
        key: each key.
        tenant_sessions, key_sessions: open at a time; None sets no limit.
    """

    all_tenants: Allowance = Allowance()
    tenant: Allowance = Allowance()
    key: Allowance = Allowance()
    tenant_sessions: int | None = None
    key_sessions: int | None = None
