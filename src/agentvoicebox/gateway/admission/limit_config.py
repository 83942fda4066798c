"""The limits of a deployment."""

import msgspec

from agentvoicebox.limits.allowance import Allowance


class LimitConfig(msgspec.Struct, frozen=True):
    """How much the deployment allows; without arguments there are no limits.

    Attributes:
        everybody: all tenants together.
        tenant: each tenant; its own row may set other limits.
        key: each key.
        tenant_sessions, key_sessions: open at a time; None sets no limit.
    """

    everybody: Allowance = Allowance()
    tenant: Allowance = Allowance()
    key: Allowance = Allowance()
    tenant_sessions: int | None = None
    key_sessions: int | None = None
