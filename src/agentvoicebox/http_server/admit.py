"""What the application may say to a connection: its client was admitted, or it must end at once."""

from typing import Any

ADMIT = "agentvoicebox.admit"
"""Key in the ASGI scope's `extensions`."""
ABORT = "agentvoicebox.abort"
"""The same."""


def admit(scope: Any) -> None:
    """The request of this scope showed a good key: its connection is kept when there are too many, and waits for no turn."""
    callback = scope.get("extensions", {}).get(ADMIT)
    if callback is not None:  # absent under another server
        callback()


def abort(scope: Any) -> None:
    """Close the connection of this scope at once: what it would still send, its client does not read."""
    callback = scope.get("extensions", {}).get(ABORT)
    if callback is not None:
        callback()
