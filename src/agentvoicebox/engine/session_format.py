"""The format of a stored session: which ones this version reads, which one it writes, and how a snapshot states its own.

One number covers everything from which a session is restored: the snapshot, the log of inputs, the gateway's ledger. It grows by
one when a gateway of the version before would fail to read one of them, or would replay the same log to other effects. A new
optional field that older versions may ignore is no new format. See `docs/adr/0008-format-versions.md`.

Format 0 is a session without a number, as versions before this file wrote it.
"""

import msgspec

from agentvoicebox.engine.format_0 import from_version_0
from agentvoicebox.engine.state import State
from agentvoicebox.errors import NewerFormat

NEWEST_READ = 3
WRITTEN = 3
"""At most `NEWEST_READ`. A release that introduces a format reads it and still writes the one before; the next one writes it."""


class _Head(msgspec.Struct):
    format: int = 0


_head = msgspec.msgpack.Decoder(_Head)
_state = msgspec.msgpack.Decoder(State)


def require_readable(found: int) -> None:
    """Raises NewerFormat when a session of this format can't be read here."""
    if found > NEWEST_READ:
        raise NewerFormat("session", found, NEWEST_READ)


def encode(state: State) -> bytes:
    """A snapshot: one MessagePack map, the format first, then the fields of the state."""
    return msgspec.msgpack.encode({"format": WRITTEN} | msgspec.structs.asdict(state))


def decode(data: bytes) -> State:
    """The state of a snapshot.

    Raises:
        NewerFormat: a newer version wrote it.
        msgspec.ValidationError: it has another shape.
    """
    found = _head.decode(data).format
    require_readable(found)
    return _read_format_0(data) if found == 0 else _state.decode(data)


def _read_format_0(data: bytes) -> State:
    try:
        return msgspec.convert(from_version_0(msgspec.msgpack.decode(data)), State)
    except (KeyError, TypeError, AttributeError) as error:
        raise msgspec.ValidationError(f"not a snapshot of format 0: {error!r}") from error
