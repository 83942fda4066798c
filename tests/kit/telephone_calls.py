"""Calls through a real Asterisk to a real server, and what was heard of them. `make telephone` makes them."""

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
from tests.kit.rtp import AUDIO, LONGEST_GAP_S, RATE_HZ, RtpEnd
from tests.kit.waiting import PATIENCE_S, until_answered

TOKEN = "line-secret"


@dataclass(frozen=True)
class Sound:
    """Audio that came without a gap. `from_s` and `to_s` are seconds since 1970, of its first and after its last packet."""

    from_s: float
    to_s: float

    @property
    def ms(self) -> float:
        """How long it is."""
        return (self.to_s - self.from_s) * 1000


@dataclass
class HeardCall:
    """A call afterwards.

    Attributes:
        ended_by: `caller` or `agent`.
        sounds: what the agent said, as RTP carried it.
        heard: the same, recognised.
        items: of the session's history, oldest first.
        interrupted_s: when the caller's interruption became loud.
        outcome: in the server's log.
    """

    ended_by: str
    sounds: list[Sound]
    heard: list[str]
    items: list[dict[str, Any]]
    outcome: str
    interrupted_s: float = 0.0
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
    times = [each.at_s for each in rtp.packets if each.kind == AUDIO]
    if not times:
        return []
    ends = [at for at, (one, other) in enumerate(pairwise(times), 1) if other - one > LONGEST_GAP_S]
    return [Sound(times[a], times[b - 1] + 0.02) for a, b in zip([0, *ends], [*ends, len(times)], strict=True)]


async def afterwards(server: LocalServer, rtp: RtpEnd, ended_by: str, *, interrupted_s: float = 0.0) -> HeardCall:
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
        heard = []
        for sound in sounds:
            form = {"file": ("heard.wav", _wav(rtp.heard(sound.from_s, sound.to_s)), "audio/wav")}
            answer = await rest.post("/v1/audio/transcriptions", files=form, data={"model": "whisper-1"})
            heard.append(str(answer.raise_for_status().json()["text"]))
    outcome = next(
        line["outcome"] for line in reversed(_lines(server.log)) if line["message"] == "telephone call ended"
    )
    return HeardCall(ended_by, sounds, heard, items[::-1], outcome, interrupted_s)


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
