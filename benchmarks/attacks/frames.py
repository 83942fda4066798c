"""Frames that the WebSocket protocol allows and nobody needs, most of them without a key."""

import asyncio

from benchmarks.attacks.attack import Attacker, beside
from benchmarks.attacks.connection import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    PING,
    TEXT,
    Connection,
    dialled,
    frame,
)

BATCH = 4_000  # frames in one write
CALLS = 4


async def _flood(attacker: Attacker, connection: Connection, what: str, frames: bytes, each: int) -> None:
    connection.drop_input()
    while not attacker.is_over and await connection.send(frames):
        attacker.count(what, each)


async def _upgraded(attacker: Attacker, number: int, key: str, what: str, first: bytes, frames: bytes) -> None:
    async with dialled(attacker.target, number) as connection:
        if not await connection.upgrade(attacker.target, key=key):
            attacker.count("upgrade_refused")
            await asyncio.sleep(0.05)
            return
        attacker.count("upgraded")
        await connection.send(first)
        await _flood(attacker, connection, what, frames, BATCH)


@beside("1")
async def keyless_fragments(attacker: Attacker) -> None:
    """One connection without a key begins a text message that never ends: continuations of one byte without pause."""
    frames = frame(b"x", CONTINUATION) * BATCH
    await attacker.crowd(1, lambda n: _upgraded(attacker, n, "", "fragments", frame(b"{", TEXT), frames))


@beside("1")
async def keyless_empty_fragments(attacker: Attacker) -> None:
    """The same with continuations of no byte, which a limit on the size of a message never meets."""
    frames = frame(b"", CONTINUATION) * BATCH
    await attacker.crowd(1, lambda n: _upgraded(attacker, n, "", "fragments", frame(b"", TEXT), frames))


@beside("1")
async def keyless_pings(attacker: Attacker) -> None:
    """One connection without a key sends pings as fast as they go."""
    frames = frame(b"", FIN | PING) * BATCH
    await attacker.crowd(1, lambda n: _upgraded(attacker, n, "", "pings", b"", frames))


@beside("1")
async def many_keyless_fragments(attacker: Attacker) -> None:
    """As keyless_fragments, from 20 addresses at once."""
    frames = frame(b"x", CONTINUATION) * BATCH
    await attacker.crowd(20, lambda n: _upgraded(attacker, n, "", "fragments", frame(b"{", TEXT), frames))


@beside("1")
async def pings_of_a_call(attacker: Attacker) -> None:
    """Four calls with a good key send pings as fast as they go."""
    frames, key = frame(b"", FIN | PING) * BATCH, attacker.target.acme_key
    await attacker.crowd(CALLS, lambda n: _upgraded(attacker, n, key, "pings", b"", frames))


@beside("own")
async def fragments_of_a_call(attacker: Attacker) -> None:
    """Four calls with a good key send a message in fragments of one byte that never ends."""
    frames, key = frame(b"x", CONTINUATION) * BATCH, attacker.target.acme_key
    await attacker.crowd(CALLS, lambda n: _upgraded(attacker, n, key, "fragments", frame(b"{", TEXT), frames))


@beside("own")
async def broken_frames(attacker: Attacker) -> None:
    """Calls with a good key send reserved bits, control frames in fragments, unmasked frames, 2^63 bytes, 500 closes."""
    broken = (
        frame(b"x", 0xF1),
        frame(b"x", PING),  # without FIN
        frame(b"x" * 126, FIN | PING),
        b"\x81\x01x",
        frame(b"x", FIN | CLOSE),
        bytes((FIN | BINARY, 0xFF)) + (1 << 63).to_bytes(8, "big") + bytes(4),
        frame((1000).to_bytes(2, "big"), FIN | CLOSE) * 500,
        frame(b"\xff\xfe", FIN | TEXT),
        frame(b"x", 0x8F),
    )

    async def one(number: int) -> None:
        async with dialled(attacker.target, number) as connection:
            if await connection.upgrade(attacker.target, key=attacker.target.acme_key):
                await connection.send(broken[attacker.seen["frames"] % len(broken)])
                attacker.count("frames")
                await connection.until_closed(1.0)
            else:
                attacker.count("upgrade_refused")

    await attacker.crowd(CALLS, one)


@beside("own")
async def ping_after_close(attacker: Attacker) -> None:
    """A call says close and goes on: text and pings without end after its own close frame."""
    frames = (frame(b"{}", FIN | TEXT) + frame(b"x" * 125, FIN | PING)) * (BATCH // 2)
    close = frame((1000).to_bytes(2, "big"), FIN | CLOSE)
    key = attacker.target.acme_key
    await attacker.crowd(CALLS, lambda n: _upgraded(attacker, n, key, "frames", close, frames))
