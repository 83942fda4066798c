"""How the application tells a connection that its client was admitted."""

from typing import Any

ADMIT = "agentvoicebox.admit"
"""Key in the ASGI scope's `extensions`."""


def admit(scope: Any) -> None:
    """The request of this scope showed a good key: its connection is kept when there are too many, and waits for no turn."""
    callback = scope.get("extensions", {}).get(ADMIT)
    if callback is not None:  # absent under another server
        callback()
