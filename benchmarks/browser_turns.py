"""Voice to voice in a real browser: the console's waterfall against what the wire shows, turn by turn.

    python benchmarks/browser_turns.py [--turns 20] [--url http://127.0.0.1:8000] [--json FILE]

Chromium talks to the server with a microphone that plays a WAV file. This program sees the WebSocket's frames and their times: it
finds when the frame was sent in which the speech ended, and when the first audio of the answer came. So each turn has two
measurements of the wait up to the socket: the waterfall's (all parts but playback) and this one. `heard_late` is how much later
the detector heard the end of the speech than its energy says. Without `--url` a server of its own is started.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from playwright.async_api import Page, WebSocket, expect

sys.path.insert(0, str(Path(__file__).parents[1]))

from rich.console import Console
from rich.table import Table
from tests.kit.browser import browser_page
from tests.kit.speech import CACHE, share_test_models

from agentvoicebox.audio.rates import OUTPUT_RATE_HZ
from agentvoicebox.cli.local_server import local_server
from agentvoicebox.client.caller_voice import speak_lines
from agentvoicebox.client.wav_files import write_wav

LINES = ("Where is parcel P K G zero zero four?", "Yes, that's right.")
PAUSE_S = 11.0  # longer than the longest answer
VOICED = 0.01  # of full scale, root mean square of 10 ms
BLOCK = OUTPUT_RATE_HZ // 100


@dataclass
class Wire:
    """What was seen of a call's socket. Times are seconds of this program's clock.

    Attributes:
        sent: the caller's audio.
        sent_at: (samples sent after a frame, when).
        first_audio_at: by response, when its first audio came.
        speech_end_ms: by response, from the server's trace.
    """

    sent: list[np.ndarray] = field(default_factory=list)
    sent_at: list[tuple[int, float]] = field(default_factory=list)
    first_audio_at: dict[str, float] = field(default_factory=dict)
    speech_end_ms: dict[str, float] = field(default_factory=dict)

    def watch(self, socket: WebSocket) -> None:
        """Follow a socket."""
        socket.on("framesent", self._sent)
        socket.on("framereceived", self._received)

    def _sent(self, text: str | bytes) -> None:
        now_s, event = time.perf_counter(), json.loads(text)
        if event["type"] == "input_audio_buffer.append":
            self.sent.append(np.frombuffer(base64.b64decode(event["audio"]), np.int16))
            before = self.sent_at[-1][0] if self.sent_at else 0
            self.sent_at.append((before + len(self.sent[-1]), now_s))

    def _received(self, text: str | bytes) -> None:
        now_s, event = time.perf_counter(), json.loads(text)
        if event["type"] == "response.output_audio.delta":
            self.first_audio_at.setdefault(event["response_id"], now_s)
        elif event["type"] == "agentvoicebox.turn" and event["turn"].get("speech_end_ms") is not None:
            self.speech_end_ms[event["turn"]["response_id"]] = event["turn"]["speech_end_ms"]

    def wait_ms(self, response_id: str) -> float:
        """From the capture of the sample at which the server heard the speech end, to the first audio of a response."""
        end_sample = self._end_sample(response_id)
        # The frame with the sample was sent when its last sample was there: go back to the sample.
        end, sent_s = next(each for each in self.sent_at if each[0] >= end_sample)
        captured_s = sent_s - (end - end_sample) / OUTPUT_RATE_HZ
        return (self.first_audio_at[response_id] - captured_s) * 1000

    def late_ms(self, response_id: str) -> float:
        """How much later the server's detector heard the end of the speech than its energy says."""
        near = self._end_sample(response_id)
        audio = np.concatenate(self.sent).astype(np.float64) / 0x8000
        first = max(0, near - OUTPUT_RATE_HZ)
        blocks = audio[first : near + OUTPUT_RATE_HZ // 2]
        levels = np.sqrt((blocks[: len(blocks) // BLOCK * BLOCK].reshape(-1, BLOCK) ** 2).mean(axis=1))
        last = first + (int(np.nonzero(levels > VOICED)[0][-1]) + 1) * BLOCK
        return (near - last) * 1000 / OUTPUT_RATE_HZ

    def _end_sample(self, response_id: str) -> int:
        return round(self.speech_end_ms[response_id] * OUTPUT_RATE_HZ / 1000)


FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


async def talk(page: Page, url: str, turns: int) -> tuple[list[dict[str, Any]], float]:
    """Make the call; returns the page's own turns, and when it was first painted (ms)."""
    await page.goto(url)
    await page.get_by_role("combobox", name="Agent").select_option("delivery")
    first_paint_ms: float = await page.evaluate(FIRST_PAINT)
    await page.get_by_role("button", name="Call", exact=True).click()
    await expect(page.get_by_text(f"{turns} turns")).to_be_visible(timeout=(60 + turns * (PAUSE_S + 6)) * 1000)
    await page.wait_for_timeout(2_000)  # the last answer's first sound, and its second account
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Save figures").click()
    saved: list[dict[str, Any]] = json.loads((await (await download.value).path()).read_text())
    return saved, first_paint_ms


async def measure(url: str, turns: int) -> tuple[list[dict[str, float]], float]:
    """Each turn: whole, sum of the parts, wait up to the socket by the page and by the wire. And the first paint. ms."""
    with tempfile.TemporaryDirectory(prefix="avb-browser-") as folder:
        lines = speak_lines(list(LINES), cache_dir=CACHE)
        pause = np.zeros(round(PAUSE_S * OUTPUT_RATE_HZ), np.int16)
        sound = [each for index in range(turns) for each in (pause, lines[index % len(lines)].pcm)]
        microphone = Path(folder) / "microphone.wav"
        write_wav(microphone, np.concatenate([*sound, pause, pause]), OUTPUT_RATE_HZ)
        wire = Wire()
        async with browser_page(Path(folder), microphone=microphone) as page:
            page.on("websocket", wire.watch)
            saved, first_paint_ms = await talk(page, url, turns)
    measured = [
        {
            "whole": turn["wholeMs"],
            "sum": sum(turn["partsMs"].values()),
            "to_socket": sum(turn["partsMs"].values()) - turn["partsMs"]["playback"],
            "by_wire": wire.wait_ms(turn["responseId"]),
            "heard_late": wire.late_ms(turn["responseId"]),
            **turn["partsMs"],
        }
        for turn in saved
        if turn["isMeasured"] and turn["responseId"] in wire.speech_end_ms
    ]
    return measured, first_paint_ms


def show(turns: list[dict[str, float]]) -> dict[str, float]:
    """Print the turns; returns the summary."""
    table = Table("turn", *turns[0], title="Voice to voice in the browser, ms")
    for index, turn in enumerate(turns, 1):
        table.add_row(str(index), *(f"{value:.1f}" for value in turn.values()))
    Console(width=200).print(table)
    apart = [abs(turn["to_socket"] - turn["by_wire"]) for turn in turns]
    wholes = sorted(turn["whole"] for turn in turns)
    return {
        "turns": len(turns),
        "whole_p50_ms": statistics.median(wholes),
        "whole_max_ms": wholes[-1],
        "sum_apart_max_ms": max(abs(turn["whole"] - turn["sum"]) for turn in turns),
        "wire_apart_p50_ms": statistics.median(apart),
        "wire_apart_max_ms": max(apart),
    }


async def run(url: str, turns: int) -> tuple[list[dict[str, float]], float]:
    """Measure a server; without a URL one of its own."""
    if url:
        return await measure(url, turns)
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="avb-browser-server-")))
        share_test_models(folder)
        server = await stack.enter_async_context(local_server(folder))
        return await measure(server.root_url, turns)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--url", default="", help="of a running server; by default one is started")
    parser.add_argument("--json", type=Path, help="where to write the figures, too")
    options = parser.parse_args()
    turns, first_paint_ms = asyncio.run(run(options.url, options.turns))
    figures = {"benchmark": "browser_turns", **show(turns), "first_paint_ms": first_paint_ms, "each": turns}
    if options.json:
        options.json.write_text(json.dumps(figures) + "\n")
    print(json.dumps({name: value for name, value in figures.items() if name != "each"}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
