"""The neighbour: a typed call of another tenant, whose turns are measured; and newcomers, who connect for the first time.

A turn is "Where is parcel PKG004?" and an answer in text: gateway, language model, tool, PostgreSQL and the store take part.
"""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from benchmarks.attacks.target import Target, bearer
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

PAUSE_S = 0.2
TURN_S = 20.0  # a turn without an end after this time is lost
CONNECT_S = 5.0
NEWCOMER_EVERY_S = 1.0
ITEM = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "Where is parcel PKG004?"}],
}
ASK = json.dumps({"type": "conversation.item.create", "item": ITEM})
ANSWER = json.dumps({"type": "response.create", "response": {"output_modalities": ["text"]}})
SERVER_IS_GONE = (OSError, TimeoutError, ConnectionClosed, InvalidHandshake)


class Neighbour:
    """One call.

    Attributes:
        counts: of turns that were `completed`, `refused` (an error, or a response that failed) or `lost` (no end, or not all of
            its events); of events that were `doubled`; of connections that had to be `reconnected`.
        codes: of errors and failures.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._ws: ClientConnection | None = None
        self._event_ids: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()

    async def connect(self) -> None:
        """Open the call. Raises OSError, TimeoutError, ConnectionClosed."""
        headers = bearer(self._target.rival_key)
        async with asyncio.timeout(TURN_S):
            self._ws = await connect(self._target.realtime, additional_headers=headers, compression=None, max_size=None)
            await self._until("session.created")

    async def close(self) -> None:
        """Hang up."""
        if self._ws is not None:
            with contextlib.suppress(*SERVER_IS_GONE):
                async with asyncio.timeout(CONNECT_S):
                    await self._ws.close()

    async def turns(self, seconds: float) -> list[float]:
        """Ask for so many seconds; the latency of each turn in ms. A turn that is lost counts with the time it was waited for."""
        latencies: list[float] = []
        ends_s = time.monotonic() + seconds
        while time.monotonic() < ends_s:
            latencies.append(await self.turn())
            await asyncio.sleep(PAUSE_S)
        return latencies

    async def turn(self) -> float:
        """One turn; its latency in ms."""
        began_s = time.monotonic()
        try:
            if self._ws is None:
                await self.connect()
                self.counts["reconnected"] += 1
                began_s = time.monotonic()
            async with asyncio.timeout(TURN_S):
                self.counts[await self._turn()] += 1
        except SERVER_IS_GONE as error:
            self.counts["lost"] += 1
            self.codes[type(error).__name__] += 1
            await self.close()
            self._ws = None
        return (time.monotonic() - began_s) * 1000

    async def _turn(self) -> str:
        """`completed`, `refused` or `lost`."""
        assert self._ws is not None
        await self._ws.send(ASK)
        await self._ws.send(ANSWER)
        text: dict[str, str] = {}
        while True:
            event = await self._next()
            match event["type"]:
                case "error":
                    self.codes[str(event["error"]["code"])] += 1
                    return "refused"
                case "response.output_text.delta":
                    text[event["item_id"]] = text.get(event["item_id"], "") + event["delta"]
                case "response.output_text.done" if text.get(event["item_id"]) != event["text"]:
                    return "lost"
                case "response.done" if event["response"]["status"] == "completed":
                    return "completed"
                case "response.done":
                    details = event["response"].get("status_details") or {}
                    self.codes[str((details.get("error") or {}).get("code", event["response"]["status"]))] += 1
                    return "refused"

    async def _next(self) -> dict[str, Any]:
        assert self._ws is not None
        event: dict[str, Any] = json.loads(await self._ws.recv())
        if event["event_id"] in self._event_ids:
            self.counts["doubled"] += 1
        self._event_ids.add(event["event_id"])
        return event

    async def _until(self, event_type: str) -> None:
        while (event := await self._next())["type"] != event_type:
            if event["type"] == "error":
                raise ConnectionRefusedError(event["error"]["code"])


class Newcomers:
    """Callers who connect once a second, each with a key that the server has not seen before.

    Attributes:
        served, refused: how many got a session within five seconds, and how many did not.
    """

    def __init__(self, target: Target, keys: Iterator[str]) -> None:
        self._target = target
        self._keys = keys
        self.served = 0
        self.refused: Counter[str] = Counter()
        self.waits_ms: list[float] = []

    async def come(self, seconds: float) -> None:
        """For so long."""
        ends_s = time.monotonic() + seconds
        while time.monotonic() < ends_s:
            began_s = time.monotonic()
            outcome = await newcomer(self._target, next(self._keys))
            if outcome == "served":
                self.served += 1
                self.waits_ms.append((time.monotonic() - began_s) * 1000)
            else:
                self.refused[outcome] += 1
            await asyncio.sleep(max(0.0, NEWCOMER_EVERY_S - (time.monotonic() - began_s)))


async def newcomer(target: Target, key: str, *, wait_s: float = CONNECT_S) -> str:
    """Open a call and hang up: `served`, an error code, or how the connection failed."""
    try:
        async with (
            asyncio.timeout(wait_s),
            connect(target.realtime, additional_headers=bearer(key), compression=None, close_timeout=1) as ws,
        ):
            first = json.loads(await ws.recv())
            return "served" if first["type"] == "session.created" else str(first["error"]["code"])
    except SERVER_IS_GONE as error:
        return type(error).__name__
