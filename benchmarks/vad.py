"""What voice activity detection costs a session: `python benchmarks/vad.py [--json FILE]`.

Measures the real Silero model, alone and through the gateway's batcher (thread hop, batching and callbacks included), for
several numbers of sessions that all have a 32 ms window at the same moment: the worst case.
"""

import argparse
import asyncio
import json
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from agentvoicebox.audio.pcm import Float32Array
from agentvoicebox.gateway.audio.vad_batch import VadBatcher
from agentvoicebox.providers.vad.silero import SileroVad
from agentvoicebox.turns.vad import WINDOW_SAMPLES

SESSIONS = (1, 8, 32, 128)
WINDOW_MS = 32
BUSY_S = 1.5  # per measurement: long enough for steady medians, short enough to run with the tests
WARM_UP_ROUNDS = 5


def windows(sessions: int) -> Float32Array:
    """Speech-like noise: the model's cost does not depend on what it hears."""
    return np.random.default_rng(sessions).normal(0, 0.1, (sessions, WINDOW_SAMPLES)).astype(np.float32)


def model_us(vad: SileroVad, sessions: int) -> list[float]:
    """Duration of each call with one window a session, in µs."""
    sounds, states = windows(sessions), np.stack([vad.new_state() for _ in range(sessions)])
    taken: list[float] = []
    end_s = time.perf_counter() + BUSY_S
    while time.perf_counter() < end_s:
        began_s = time.perf_counter()
        _, states = vad.probabilities(sounds, states)
        taken.append((time.perf_counter() - began_s) * 1e6)
    return taken[WARM_UP_ROUNDS:]


async def batcher_us(vad: SileroVad, sessions: int) -> list[float]:
    """Time from the first submit of a round to the last session's answer, in µs."""
    batcher = VadBatcher(vad)
    slots = [batcher.open(lambda *_: None) for _ in range(sessions)]
    sounds = windows(sessions)
    taken: list[float] = []
    end_s = time.perf_counter() + BUSY_S
    while time.perf_counter() < end_s:
        began_s = time.perf_counter()
        for slot, sound in zip(slots, sounds, strict=True):
            slot.submit(sound, WINDOW_SAMPLES)
        for slot in slots:
            await slot.settled()
        taken.append((time.perf_counter() - began_s) * 1e6)
    for slot in slots:
        slot.close()
    await batcher.close()
    return taken[WARM_UP_ROUNDS:]


def measure() -> list[dict[str, float]]:
    """One row for each number of sessions."""
    vad = SileroVad()
    rows = []
    for sessions in SESSIONS:
        alone, batched = model_us(vad, sessions), asyncio.run(batcher_us(vad, sessions))
        rows.append(
            {
                "sessions": sessions,
                "model_us_per_session_window": round(float(np.median(alone)) / sessions, 1),
                "batcher_us_per_session_window": round(float(np.median(batched)) / sessions, 1),
                "round_p50_ms": round(float(np.percentile(batched, 50)) / 1_000, 3),
                "round_p95_ms": round(float(np.percentile(batched, 95)) / 1_000, 3),
                "share_of_a_core": round(float(np.median(batched)) / 1_000 / WINDOW_MS, 4),
            }
        )
    return rows


def show(rows: list[dict[str, float]]) -> None:
    """The table for people."""
    table = Table(title="Voice activity detection, one 32 ms window a session")
    for heading in ("sessions", "model µs/session", "with batcher µs/session", "round p50 ms", "p95 ms", "of one core"):
        table.add_column(heading, justify="right")
    for row in rows:
        *numbers, share = row.values()
        table.add_row(*(f"{number:g}" for number in numbers), f"{share:.1%}")
    Console(stderr=True).print(table)


def main() -> None:
    """Measure, print JSON on standard output and a table beside it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, help="also write the JSON to this file")
    file: Path | None = options.parse_args().json
    rows = measure()
    result = json.dumps({"benchmark": "vad", "window_ms": WINDOW_MS, "rows": rows}, indent=2)
    print(result)
    show(rows)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(result + "\n")


if __name__ == "__main__":
    main()
