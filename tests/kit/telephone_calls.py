"""Calls through a real Asterisk to a real server, and what was heard of them. `make telephone` makes them."""

import asyncio
import io
import json
import wave
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

from agentvoicebox.audio.g711 import decode_ulaw
from agentvoicebox.cli.local_server import LocalServer
from tests.kit.rtp import AUDIO, FRAME_S, LONGEST_GAP_S, RATE_HZ, RtpEnd
from tests.kit.waiting import PATIENCE_S, until_answered

TOKEN = "line-secret"
ANSWER_GAP_S = 0.5  # between two answers; a busy machine may pause within one


@dataclass(frozen=True)
class Sound:
    """An answer of the agent, as RTP carried it.

    Attributes:
        from_s, to_s: of its first and after its last packet, in seconds since 1970.
        ms: of audio.
        gaps: how often its audio came too late to be played in time.
    """

    from_s: float
    to_s: float
    ms: int
    gaps: int


@dataclass
class HeardCall:
    """A call afterwards.

    Attributes:
        ended_by: `caller` or `agent`.
        sounds: what the agent said, as RTP carried it.
        heard: the same, recognised.
        items: of the session's history, oldest first.
        tone_hz: of what was heard last, where it was no speech.
        interrupted_s: when the caller's interruption became loud.
        outcome: in the server's log.
    """

    ended_by: str
    sounds: list[Sound]
    heard: list[str]
    items: list[dict[str, Any]]
    outcome: str
    interrupted_s: float = 0.0
    tone_hz: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def said(self) -> list[dict[str, Any]]:
        """The agent's items."""
        return [each for each in self.items if each["type"] == "message" and each["role"] == "assistant"]

    @property
    def whole(self) -> tuple[str, str]:
        """The agent's answers that were not cut: as they were said, and as they were recognised."""
        pairs = [
            (transcript(item), heard)
            for item, heard in zip(self.said, self.heard, strict=True)
            if item["heard_ms"] is None
        ]
        return " ".join(said for said, _ in pairs), " ".join(heard for _, heard in pairs)


def transcript(item: dict[str, Any]) -> str:
    """The words of an item, of the agent those that were heard."""
    return " ".join(part.get("transcript") or part.get("text") or "" for part in item["content"])


def sounds_of(rtp: RtpEnd) -> list[Sound]:
    """The agent's answers, as they were heard."""
    packets = [each for each in rtp.packets if each.kind == AUDIO]
    gaps_s = [other.at_s - one.at_s for one, other in pairwise(packets)]
    ends = [0, *(at for at, gap_s in enumerate(gaps_s, 1) if gap_s > ANSWER_GAP_S), len(packets)]
    return [
        Sound(
            packets[a].at_s,
            packets[b - 1].at_s + FRAME_S,
            sum(len(each.payload) for each in packets[a:b]) * 1000 // RATE_HZ,
            sum(gap_s > LONGEST_GAP_S for gap_s in gaps_s[a : b - 1]),
        )
        for a, b in pairwise(ends)
        if a < b
    ]


async def afterwards(
    server: LocalServer, rtp: RtpEnd, ended_by: str, *, interrupted_s: float = 0.0, has_outcome: bool = True
) -> HeardCall:
    """Read the call back: its history, and its sound by the server's own recogniser."""
    async with httpx.AsyncClient(base_url=server.root_url, trust_env=False, timeout=PATIENCE_S) as rest:

        async def get(path: str) -> dict[str, Any]:
            body: dict[str, Any] = (await rest.get(path)).raise_for_status().json()
            return body

        async def is_open() -> bool:
            sessions = (await get("/v1/realtime/sessions?limit=1"))["data"]
            return not sessions or sessions[0]["state"] != "ended"

        await until_answered(is_open, "the session has not ended")
        session = (await get("/v1/realtime/sessions?limit=1"))["data"][0]
        items = (await get(f"/v1/realtime/sessions/{session['id']}/items?limit=100"))["data"]
        sounds = sounds_of(rtp)
        heard = [await _recognised(rest, rtp.heard(sound.from_s, sound.to_s)) for sound in sounds]
    outcomes = [line["outcome"] for line in _lines(server.log) if line["message"] == "telephone call ended"]
    outcome = outcomes[-1] if has_outcome else ""
    return HeardCall(ended_by, sounds, heard, items[::-1], outcome, interrupted_s)


async def _recognised(rest: httpx.AsyncClient, ulaw: bytes) -> str:
    form = {"file": ("heard.wav", _wav(ulaw), "audio/wav")}
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer = await rest.post("/v1/audio/transcriptions", files=form, data={"model": "whisper-1"})
            if answer.status_code != 503:
                return str(answer.raise_for_status().json()["text"])
            await asyncio.sleep(float(answer.headers.get("retry-after", 1)))  # the machine is busy


def _lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


def _wav(ulaw: bytes) -> bytes:
    quiet = b"\xff" * (RATE_HZ // 2)  # half a second around it, which recognisers need
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(RATE_HZ)
        wav.writeframes(decode_ulaw(quiet + ulaw + quiet).tobytes())
    return file.getvalue()
