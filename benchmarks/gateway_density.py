"""How many live calls one core carries: one gateway process on one core, with engines that answer at once.

    python benchmarks/gateway_density.py [--calls 25 50 100 150 200] [--formats audio/pcm audio/pcmu] [--seconds 20] [--json FILE]

The gateway alone is bound to the first core; the store, the workers and the callers share the others. Every call streams in real
time, a frame each 20 ms: three seconds of speech that a voice really said, then a quiet room, over and over, each caller at his
own moment. The detector hears it, the turn ends, the answer comes as 100 ms chunks in real time. With each number of calls:

- how late frames are: from the moment a frame was due (or was sent, if the caller itself was late) until the gateway has taken it
  into its ear; and from a chunk's publication by the worker until the caller has it;
- what a call costs: the gateway's processor seconds for each second of audio that it took. It hardly depends on who else uses
  the machine, and 1 / cost is how many calls fill a core. (A gateway that is starved of its core takes audio in larger gulps,
  which makes it look a little cheaper: `behind_s` says how far it was behind at the end.)

It stops at the first number of calls whose frames are later than 20 ms (p99), or of which the gateway refused some. `carried` is
the last number that was carried, `first_late` the first whose frames were late although all its calls were admitted (null: the
gateway refused calls before), and `refused` of a row how many of its calls were refused, by the gateway's own measure of its
lateness.
"""

import argparse
import asyncio
import base64
import json
import os
import random
import sys
import tempfile
import time
from array import array
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import structlog
import uvloop
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.kit.instant_engines import (  # noqa: E402
    STAMP,
    as_child,
    cpu_s,
    instant,
    process,
    serve_workers,
    summary,
    tell_ready,
)
from tests.kit.raw_socket import RawSocket, dial, masked  # noqa: E402

from agentvoicebox.audio.g711 import encode_ulaw  # noqa: E402
from agentvoicebox.audio.pcm import Int16Array, bytes_of  # noqa: E402
from agentvoicebox.audio.rates import OUTPUT_RATE_HZ  # noqa: E402
from agentvoicebox.audio.resample import resample  # noqa: E402
from agentvoicebox.client.caller_voice import speak_lines  # noqa: E402
from agentvoicebox.gateway.audio import ingest  # noqa: E402
from agentvoicebox.gateway.role import serve_gateway  # noqa: E402
from agentvoicebox.providers.processor import this_processor  # noqa: E402
from agentvoicebox.settings import Settings  # noqa: E402
from agentvoicebox.supervisor.embedded.data_folder import DataFolder  # noqa: E402
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey  # noqa: E402
from agentvoicebox.telemetry.process_report import ProcessReport  # noqa: E402

FRAME_S = 0.02
PERIOD_S = 10.0  # a caller's turn and its answer
LATE_MS = 20.0  # the bound on p99
ANSWER_CHUNKS = 30
HELD_CHUNKS = 6  # of an answer, at most, lie ready when the turn's end is decided: they are no measure of the way
WARM_S = 4.0
DIALS_AT_ONCE = 8
WAVE_S = 0.5  # between two waves: as long as between two checks of the gateway's health
LINE = "Hi, can you tell me where my parcel is? The number is P K G zero zero four."
ROOM_RMS = 30  # of 32,768: a quiet room; no line carries plain zeros for long
DELTA = b'"delta":"'


class Refused(Exception):
    """The gateway wants no further call."""


class Caller:
    """One call: frames on time, and when what came back was there.

    Attributes:
        sent: monotonic second of each frame.
        chunks: of answers, heard.
        answer_ms: how long a stamped chunk took from the worker to here, without those that speculation held back.
    """

    def __init__(self, frames: list[bytes], first: int, *, is_stamped: bool) -> None:
        self._frames = frames
        self._next = first
        self._is_stamped = is_stamped
        self._ws: RawSocket | None = None
        self._created: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._timer: asyncio.TimerHandle | None = None
        self.session_id = ""
        self.began_s = 0.0
        self.sent = array("d")
        self.chunks = 0
        self._chunks = 0  # of the present answer
        self.answer_ms = array("d")

    async def dial(self, port: int, session: dict[str, Any]) -> None:
        """Connect and say what this call is like."""
        self._ws = await dial(port, "/v1/realtime?model=delivery", self._heard)
        self.session_id = await self._created
        self._ws.write(masked(json.dumps({"type": "session.update", "session": session}).encode()))

    def start(self) -> None:
        """Begin to stream."""
        self.began_s = time.monotonic()
        self._send()

    def stop(self) -> None:
        """Hang up."""
        if self._timer is not None:
            self._timer.cancel()
        if self._ws is not None:
            self._ws.close()

    def _send(self) -> None:
        loop = asyncio.get_running_loop()
        assert self._ws is not None
        now_s = time.monotonic()
        while self.began_s + len(self.sent) * FRAME_S <= now_s:
            self.sent.append(now_s)
            self._ws.write(self._frames[self._next])
            self._next = (self._next + 1) % len(self._frames)
        self._timer = loop.call_later(self.began_s + len(self.sent) * FRAME_S - time.monotonic(), self._send)

    def _heard(self, payload: bytes) -> None:
        if payload.startswith(b'{"type":"response.output_audio.delta"'):
            now_s = time.monotonic()
            self._chunks += 1
            self.chunks += 1
            if self._is_stamped and self._chunks > HELD_CHUNKS:
                at = payload.index(DELTA) + len(DELTA)
                (published_s,) = STAMP.unpack(base64.b64decode(payload[at : at + 12])[: STAMP.size])
                self.answer_ms.append((now_s - published_s) * 1000)
        elif payload.startswith(b'{"type":"response.created"'):
            self._chunks = 0
        elif payload.startswith(b'{"type":"session.created"'):
            self._created.set_result(json.loads(payload)["session"]["id"])
        elif payload.startswith(b'{"type":"error"'):
            if self._created.done():
                raise RuntimeError(payload.decode())
            self._created.set_exception(Refused(payload.decode()))


def frames_of(speech: Int16Array, format: str) -> list[bytes]:
    """One period of a caller's appends, ready for the wire."""
    sound = np.random.default_rng(0).normal(0, ROOM_RMS, int(PERIOD_S * OUTPUT_RATE_HZ)).astype(np.int16)
    sound[: len(speech)] += speech
    if format == "audio/pcm":
        data, each = bytes_of(sound), int(OUTPUT_RATE_HZ * FRAME_S) * 2
    else:
        data, each = encode_ulaw(resample(sound, OUTPUT_RATE_HZ, 8_000)), int(8_000 * FRAME_S)
    pieces = (base64.b64encode(data[at : at + each]).decode() for at in range(0, len(data), each))
    return [masked(json.dumps({"type": "input_audio_buffer.append", "audio": piece}).encode()) for piece in pieces]


# -- the gateway process ---------------------------------------------------------------------------------------------


def note_frames() -> "dict[str, array[float]]":
    """From now on: the monotonic second at which each frame was taken, by session."""
    taken: dict[str, array[float]] = defaultdict(lambda: array("d"))
    feed = ingest.Ingest.feed

    async def feed_and_note(self: ingest.Ingest, audio: bytes, waiting_since_s: float | None = None) -> None:
        await feed(self, audio, waiting_since_s)
        taken[structlog.contextvars.get_contextvars()["session_id"]].append(time.monotonic())

    ingest.Ingest.feed = feed_and_note  # type: ignore[method-assign]
    return taken


async def gateway(url: str, port: int, notes: Path, stop: asyncio.Event) -> None:
    """The process that is measured, alone on the first core."""
    os.sched_setaffinity(0, {0})
    taken = note_frames()
    settings = Settings.load(redis_url=url, port=port, max_calls=2_000, data_dir=str(notes.parent))
    await serve_gateway(settings, tell_ready, stop, ProcessReport())
    with notes.open("w") as file:
        json.dump({session: list(times) for session, times in taken.items()}, file)


# -- the measurement -------------------------------------------------------------------------------------------------


async def measure(
    url: str, port: int, folder: Path, *, calls: int, format: str, seconds: float, line: Int16Array
) -> Any:
    """One number of calls."""
    notes = folder / "notes.json"
    command = [__file__, "--role", "gateway", "--url", url, "--port", str(port), "--notes", str(notes)]
    frames, chance = frames_of(line, format), random.Random(calls)
    sides = {"format": {"type": format, "rate": OUTPUT_RATE_HZ} if format == "audio/pcm" else {"type": format}}
    session = {"type": "realtime", "audio": {"input": sides, "output": sides}}
    async with process(command) as pid:
        callers = [
            Caller(frames, chance.randrange(len(frames)), is_stamped=format == "audio/pcm") for _ in range(calls)
        ]
        # Each call streams from its beginning, so that the gateway notices what it carries before all are there.
        admitted: list[Caller] = []
        for at in range(0, calls, DIALS_AT_ONCE):
            wave = callers[at : at + DIALS_AT_ONCE]
            dialled = await asyncio.gather(*(each.dial(port, session) for each in wave), return_exceptions=True)
            for each, answer in zip(wave, dialled, strict=True):
                if isinstance(answer, Refused):
                    each.stop()
                elif isinstance(answer, BaseException):
                    raise answer
                else:
                    admitted.append(each)
                    asyncio.get_running_loop().call_later(chance.random() * FRAME_S * 50, each.start)
            await asyncio.sleep(WAVE_S)
        refused, callers = calls - len(admitted), admitted
        await asyncio.sleep(WARM_S)
        from_s, used_s, own_s = time.monotonic(), cpu_s(pid), time.process_time()
        counts = [len(each.answer_ms) for each in callers], [each.chunks for each in callers]
        await asyncio.sleep(seconds)
        until_s, used_s, own_s = time.monotonic(), cpu_s(pid) - used_s, time.process_time() - own_s
        for each in callers:
            each.stop()
        answers = [ms for each, before in zip(callers, counts[0], strict=True) for ms in each.answer_ms[before:]]
        chunks = sum(each.chunks - before for each, before in zip(callers, counts[1], strict=True))
    taken = json.loads(notes.read_text())
    late, own_late, heard, behind = [], [], 0, 0
    for each in callers:
        times = taken.get(each.session_id, [])
        heard += sum(from_s <= taken_s <= until_s for taken_s in times)
        for number, sent_s in enumerate(each.sent):
            due_s = each.began_s + number * FRAME_S
            if from_s <= due_s <= until_s:
                late.append((times[number] - sent_s if number < len(times) else seconds) * 1000)
                own_late.append((sent_s - due_s) * 1000)
                behind += (number < len(times) and times[number] > until_s) or number >= len(times)
    cost = used_s / (heard * FRAME_S)
    return {
        "format": format,
        "calls": calls,
        "refused": refused,
        "frames": heard,
        "chunks_heard": chunks,
        "frame_late_ms": summary(late),
        "answer_late_ms": summary(answers) if answers else None,
        "caller_late_ms": summary(own_late),
        "behind_s": round(behind * FRAME_S / max(1, len(callers)), 3),
        "gateway_core_share": round(used_s / (until_s - from_s), 3),
        "cpu_ms_per_call_second": round(cost * 1000, 3),
        "calls_a_core_by_cost": round(1 / cost),
        "callers_core_share": round(own_s / (until_s - from_s), 3),
        "load_average": os.getloadavg()[0],
    }


async def run(counts: list[int], formats: list[str], seconds: float, port: int) -> list[dict[str, Any]]:
    """Start the store and the workers, sweep, stop."""
    (line,) = speak_lines([LINE], cache_dir=ROOT / "var" / "models")
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = DataFolder(Path(name))
        server = EmbeddedValkey(folder.path / "valkey", folder.sockets)
        try:
            await server.start()
            async with process([__file__, "--role", "workers", "--url", server.url]):
                for format in formats:
                    for calls in counts:
                        row = await measure(
                            server.url,
                            port,
                            folder.path,
                            calls=calls,
                            format=format,
                            seconds=seconds,
                            line=line.pcm[: 3 * OUTPUT_RATE_HZ],
                        )
                        rows.append(row)
                        print(row, file=sys.stderr)
                        if row["refused"] or row["frame_late_ms"]["p99"] > LATE_MS:
                            break
        finally:
            await server.stop()
            folder.close()
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Live calls on one core.")
    parser.add_argument("--calls", type=int, nargs="+", default=[25, 50, 100, 150, 200, 250], help="live calls at once")
    parser.add_argument("--formats", nargs="+", default=["audio/pcm", "audio/pcmu"], help="what the line carries")
    parser.add_argument("--seconds", type=float, default=20.0, help="measured with each number of calls")
    parser.add_argument("--json", type=Path, help="where to write the figures, too")
    parser.add_argument("--port", type=int, default=18_475, help=argparse.SUPPRESS)
    parser.add_argument("--role", choices=("gateway", "workers"), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--notes", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role == "workers":
        uvloop.run(as_child("workers", lambda stop: serve_workers(options.url, stop, instant(ANSWER_CHUNKS))))
        return
    if options.role == "gateway":
        uvloop.run(as_child("gateway", lambda stop: gateway(options.url, options.port, options.notes, stop)))
        return
    cores = os.sched_getaffinity(0)
    if len(cores) > 1:
        os.sched_setaffinity(0, cores - {0})  # and with it the store and the workers, which are our children
    rows = uvloop.run(run(options.calls, options.formats, options.seconds, options.port))
    carried = dict.fromkeys(options.formats, 0)
    first_late: dict[str, int | None] = dict.fromkeys(options.formats)
    for row in rows:
        is_late = row["frame_late_ms"]["p99"] > LATE_MS
        if is_late and not row["refused"]:
            first_late[row["format"]] = row["calls"]
        elif not is_late:
            carried[row["format"]] = row["calls"] - row["refused"]
    found = {"carried": carried, "first_late": first_late, "rows": rows}
    told = json.dumps({"benchmark": "gateway_density", "processor": str(this_processor()), **found})
    print(told)
    if options.json:
        options.json.write_text(told + "\n")
    table = Table(title="One gateway on one core; store, workers and callers on the others")
    lates, costs = ("late p50 ms", "p99", "answer late p99"), ("core", "CPU ms a call s", "calls a core by cost")
    for heading in ("format", "calls", "refused", *lates, *costs):
        table.add_column(heading, justify="right")
    for row in rows:
        late, answer = row["frame_late_ms"], row["answer_late_ms"]
        table.add_row(
            row["format"],
            str(row["calls"]),
            str(row["refused"]),
            f"{late['p50']:.1f}",
            f"{late['p99']:.1f}",
            f"{answer['p99']:.1f}" if answer else "",
            f"{row['gateway_core_share']:.0%}",
            f"{row['cpu_ms_per_call_second']:.2f}",
            str(row["calls_a_core_by_cost"]),
        )
    Console(stderr=True).print(table)


if __name__ == "__main__":
    main()
