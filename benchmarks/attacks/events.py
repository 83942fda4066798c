"""Realtime events of a tenant with a good key: too small and too many, too large, or costly to read."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Sequence

from benchmarks.attacks.attack import MIB, Attacker, beside
from benchmarks.attacks.connection import FIN, TEXT, Connection, dialled, frame, source
from benchmarks.attacks.target import bearer
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

BATCH = 2_000  # events in one write
CALLS = 4
COLLIDING_KEYS = 20_000


@contextlib.asynccontextmanager
async def _call(attacker: Attacker, number: int) -> AsyncIterator[Connection | None]:
    """A call with the attacker's key, from an address of its own; None, a moment later, when it is refused."""
    async with dialled(attacker.target, number) as connection:
        if await connection.upgrade(attacker.target, key=attacker.target.acme_key):
            yield connection
        else:
            attacker.count("upgrade_refused")
            await asyncio.sleep(0.2)
            yield None


async def _flood(attacker: Attacker, events: Sequence[bytes], *, calls: int, pause_s: float = 0.0) -> None:
    """Open calls and send the events as fast as they go, again and again; each element counts as one event."""
    many = len(events[0]) < 4_096
    payload = b"".join(frame(each, FIN | TEXT) for each in events)
    writes = [payload * (BATCH // len(events))] if many else [frame(each, FIN | TEXT) for each in events]
    per_write = BATCH // len(events) * len(events) if many else 1

    async def one(number: int) -> None:
        async with _call(attacker, number) as connection:
            if connection is None:
                return
            attacker.count("upgraded")
            connection.drop_input()
            while not attacker.is_over:
                for write in writes:
                    if not await connection.send(write):
                        attacker.count("closed_by_server")
                        return
                    attacker.count("events", per_write)
                    await asyncio.sleep(pause_s)

    await attacker.crowd(calls, one)


def _event(event_type: str, **fields: object) -> bytes:
    return json.dumps({"type": event_type, **fields}).encode()


def _message(text: str, **more: object) -> dict[str, object]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}], **more}


@beside("2")
async def one_sample_appends(attacker: Attacker) -> None:
    """One call appends one sample of audio a time, as fast as it goes."""
    audio = base64.b64encode(b"\0\0").decode()
    await _flood(attacker, [_event("input_audio_buffer.append", audio=audio)], calls=1)


@beside("2")
async def empty_objects(attacker: Attacker) -> None:
    """One call sends `{}` as fast as it goes."""
    await _flood(attacker, [b"{}"], calls=1)


@beside("3")
async def items_of_20_mib(attacker: Attacker) -> None:
    """One call creates items with 20 MiB of text."""
    await _flood(attacker, [_event("conversation.item.create", item=_message("x" * 20 * MIB))], calls=1, pause_s=0.1)


@beside("3")
async def instructions_of_20_mib(attacker: Attacker) -> None:
    """One call sets instructions of 20 MiB."""
    event = _event("session.update", session={"type": "realtime", "instructions": "x" * 20 * MIB})
    await _flood(attacker, [event], calls=1, pause_s=0.1)


@beside("3")
async def broken_json_of_20_mib(attacker: Attacker) -> None:
    """One call sends 20 MiB of JSON that breaks off at the end, twice a second."""
    event = b'{"type":"conversation.item.create","x":["' + b"y" * 20 * MIB
    await _flood(attacker, [event], calls=1, pause_s=0.5)


@beside("3")
async def events_of_100_000_values(attacker: Attacker) -> None:
    """One call sends events with 100,000 values each, as fast as it goes."""
    await _flood(attacker, [_event("session.update", session={"tools": [0] * 100_000})], calls=1)


@beside("3")
async def appends_of_15_mib(attacker: Attacker) -> None:
    """One call appends 15 MiB of audio a time, as fast as it goes."""
    audio = base64.b64encode(bytes(15 * MIB)).decode()
    await _flood(attacker, [_event("input_audio_buffer.append", audio=audio)], calls=1)


@beside("10")
async def ids_of_1_mib(attacker: Attacker) -> None:
    """Two calls create items whose ids have 1 MiB, or a zero byte."""
    events = [
        _event("conversation.item.create", item=_message("x", id="i" * MIB)),
        _event("conversation.item.create", item=_message("x", id="a\0b")),
        _event("x" * MIB),
        _event("response.cancel", event_id="e" * MIB),
    ]
    await _flood(attacker, events, calls=2)


@beside("own")
async def cancels(attacker: Attacker) -> None:
    """Four calls begin responses outside the conversation, cancel them, and truncate and delete items that do not exist."""
    events = [
        _event("response.create", response={"conversation": "none", "input": [], "output_modalities": ["text"]}),
        _event("response.cancel"),
        _event("conversation.item.truncate", item_id="item_x", content_index=0, audio_end_ms=0),
        _event("conversation.item.delete", item_id="item_x"),
    ]
    await _flood(attacker, events, calls=CALLS)


@beside("own")
async def colliding_keys(attacker: Attacker) -> None:
    """One call sends objects whose 20,000 keys are alike but for the end, and events with a field a thousand times over."""
    alike = {"k" * 64 + f"{number:06d}": number for number in range(COLLIDING_KEYS)}
    events = [
        _event("session.update", session={"type": "realtime", "tools": [{"type": "function", "parameters": alike}]}),
        b'{"type":"session.update",' + b'"session":{"type":"realtime"},' * 20_000 + b'"session":{}}',
    ]
    await _flood(attacker, events, calls=1)


@beside("own")
async def costly_schemas(attacker: Attacker) -> None:
    """Two calls declare 100 tools whose schemas have patterns that backtrack for ever and `anyOf` forty levels deep."""
    nested: dict[str, object] = {"type": "string", "pattern": "^(a+)+$"}
    for _ in range(40):
        nested = {"anyOf": [nested, {"$ref": "#"}]}
    tools = [
        {"type": "function", "name": f"tool_{number}", "description": "a" * 60 + "!", "parameters": nested}
        for number in range(100)
    ]
    await _flood(attacker, [_event("session.update", session={"type": "realtime", "tools": tools})], calls=2)


async def _ask(attacker: Attacker, *, calls: int, every_s: float, reads: bool) -> None:
    """Calls that ask for a spoken answer so often."""
    ask = frame(_event("conversation.item.create", item=_message("Where is parcel PKG004? " * 40)), FIN | TEXT)
    ask += frame(_event("response.create"), FIN | TEXT)

    async def one(number: int) -> None:
        async with _call(attacker, number) as connection:
            if connection is None:
                return
            if reads:
                connection.drop_input()
            else:
                connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
            while not attacker.is_over and await connection.send(ask):
                attacker.count("asks")
                await asyncio.sleep(every_s)

    await attacker.crowd(calls, one)


@beside("own")
async def slow_readers(attacker: Attacker) -> None:
    """Six calls ask for a spoken answer once a second and never read a byte."""
    await _ask(attacker, calls=6, every_s=1.0, reads=False)


@beside("own")
async def answers_without_pause(attacker: Attacker) -> None:
    """Four calls ask for spoken answers twenty times a second: the next answer begins as soon as one is done."""
    await _ask(attacker, calls=CALLS, every_s=0.05, reads=True)


@beside("own")
async def half_closed_calls(attacker: Attacker) -> None:
    """Calls end their half of the connection in the middle of a frame and stay, and new ones come."""
    torn = frame(b"{" * 100, FIN | TEXT)[:50]

    async def one(number: int) -> None:
        async with dialled(attacker.target, number) as connection:
            if await connection.upgrade(attacker.target, key=attacker.target.acme_key):
                await connection.send(torn)
                attacker.count("half_closed")
            connection.writer.write_eof()
            await connection.until_closed(3.0)

    await attacker.crowd(6, one)


@beside("own")
async def resume_attempts(attacker: Attacker) -> None:
    """The attacker's own session is resumed some hundred times a second, each time from another connection."""
    headers = bearer(attacker.target.acme_key)
    first: ClientConnection = await connect(attacker.target.realtime + "&resume=1", additional_headers=headers)
    session = json.loads(await first.recv())["session"]["id"]
    first.transport.abort()
    query = f"resume=1&session_id={session}&audio_from_ms=0&audio_until_ms=10"

    async def one(number: int) -> None:
        async with dialled(attacker.target, number) as connection:
            asked = await connection.upgrade(attacker.target, key=attacker.target.acme_key, query=query)
            attacker.count("resumes" if asked else "upgrade_refused")

    with contextlib.suppress(ConnectionClosed):
        await attacker.crowd(16, one)


@beside("own")
async def calls_that_come_and_go(attacker: Attacker) -> None:
    """Calls with a good key are opened and reset at once, from sixteen addresses, as often as the server lets them."""

    async def one(number: int) -> None:
        async with connect(
            attacker.target.realtime,
            additional_headers=bearer(attacker.target.acme_key),
            local_addr=(source(number), 0),
            compression=None,
        ) as ws:
            with contextlib.suppress(ConnectionClosed):
                await ws.recv()
                attacker.count("calls")
            ws.transport.abort()

    await attacker.crowd(16, one)
