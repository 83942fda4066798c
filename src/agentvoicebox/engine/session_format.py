"""The stored form of a session's state: one MessagePack map, the number of its format first, then the fields of the state.

A snapshot outlives the process that wrote it, and during an upgrade the version. Older formats are read by a module each.
"""

import msgspec

from agentvoicebox.engine.format_0 import from_version_0
from agentvoicebox.engine.state import State

NEWEST_READ = 1
WRITTEN = 1


class _Head(msgspec.Struct):
    format: int = 0


_head = msgspec.msgpack.Decoder(_Head)
_state = msgspec.msgpack.Decoder(State)


def encode(state: State) -> bytes:
    """A snapshot of a state."""
    return msgspec.msgpack.encode({"format": WRITTEN} | msgspec.structs.asdict(state))


def decode(data: bytes) -> State:
    """The state of a snapshot of this or an older format. Raises msgspec.ValidationError for anything else."""
    found = _head.decode(data).format
    if found > NEWEST_READ:
        raise msgspec.ValidationError(f"unknown snapshot format {found}")
    return _read_format_0(data) if found == 0 else _state.decode(data)


def _read_format_0(data: bytes) -> State:
    try:
        return msgspec.convert(from_version_0(msgspec.msgpack.decode(data)), State)
    except (KeyError, TypeError, AttributeError) as error:
        raise msgspec.ValidationError(f"not a snapshot of format 0: {error!r}") from error
