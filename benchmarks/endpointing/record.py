"""Records the corpus: renders it, runs the voice activity model and the recogniser. Takes some 15 minutes of one core.

    OPENBLAS_NUM_THREADS=1 nice -n 10 python -m benchmarks.endpointing.record [--turns 640]

Times are processor time of this process, whose engines have one thread, so that other work on the machine does not count. What
is done is kept in `var/endpointing`, so that an interrupted run goes on.
"""

import argparse
import time
from pathlib import Path

import msgspec
import numpy as np
from benchmarks.endpointing.corpus import CorpusTurn, corpus
from benchmarks.endpointing.recorded_turn import KEPT, Decode, RecordedTurn, Recording, write_recording
from benchmarks.endpointing.sound import TurnSounds
from benchmarks.figures.machine import machine

from agentvoicebox.audio.pcm import Int16Array, samples_of_ms, to_float
from agentvoicebox.ports.providers import Stt
from agentvoicebox.providers.catalogue import ModelCatalogue
from agentvoicebox.providers.registry import build_stt, build_tts
from agentvoicebox.providers.tts.cache import PhraseCache
from agentvoicebox.providers.vad.silero import SileroVad
from agentvoicebox.turns.vad import WINDOW_SAMPLES, GateChange, SpeechGate
from agentvoicebox_delivery.evals.id_voices import CallerVoices

CACHE = Path("var/endpointing")
RECOGNISER = "fast"
SHORTEST_PROBE_MS = 64  # pauses are recorded from here on
TAIL_MS = 80  # audio after the pause that a probe has
PREFIX_MS = 300
THRESHOLD = 0.5
ANSWERS = (
    "What's the tracking number?", "It arrives tomorrow.", "Your parcel is out for delivery.", "I can't find that parcel.",
    "Is there anything else?", "Your parcel was delivered on Monday.",
)  # fmt: skip


def probabilities(samples: Int16Array, vad: SileroVad) -> bytes:
    """Of speech, a byte a window."""
    state = vad.new_state()[np.newaxis]
    found = bytearray()
    for start in range(0, samples.size - WINDOW_SAMPLES + 1, WINDOW_SAMPLES):
        window = to_float(samples[start : start + WINDOW_SAMPLES])[np.newaxis]
        values, state = vad.probabilities(window, state)
        found.append(round(float(values[0]) * 255))
    return bytes(found)


def pauses(found: bytes) -> list[tuple[int, int]]:
    """Where speech begins and where it pauses, in samples: (start of the turn, end of the speech), for each pause."""
    gate = SpeechGate(THRESHOLD, SHORTEST_PROBE_MS)
    start, ends = None, []
    for number, value in enumerate(found, start=1):
        change = gate.feed(value / 255, number * WINDOW_SAMPLES, least_voiced_ms=64)
        if change is GateChange.OPENED and start is None:
            start = max(0, gate.onset_sample - samples_of_ms(PREFIX_MS))
        elif change is GateChange.CLOSED:
            ends.append((start or 0, gate.voiced_end_sample))
    return ends


def record(turn: CorpusTurn, sounds: TurnSounds, vad: SileroVad, stt: Stt) -> RecordedTurn:
    """Render one turn, and hear it."""
    samples, last_piece, end = sounds.render(turn)
    found = probabilities(samples, vad)
    decodes = []
    for start, speech_end in pauses(found):
        began_s = time.process_time()
        text = stt.transcribe(samples[start : speech_end + samples_of_ms(TAIL_MS)]).text
        decodes.append(Decode(speech_end, text, round(1000 * (time.process_time() - began_s), 1)))
    return RecordedTurn(
        number=turn.number,
        kind=turn.kind,
        split=turn.split,
        voice=turn.speaker.name,
        line=turn.line,
        asked=turn.asked,
        pauses_ms=turn.pauses_ms,
        tracking_id=turn.tracking_id,
        last_piece_sample=last_piece,
        end_sample=end,
        probabilities=found,
        decodes=tuple(decodes),
    )


def first_chunks_ms(catalogue: ModelCatalogue) -> tuple[float, ...]:
    """Time of the first voice to its first chunk, for some answers, after a warm-up."""
    tts = build_tts(["piper"], catalogue, cache=PhraseCache(most_bytes=0))
    next(iter(tts.synthesize("Hello there.", voice="")))
    times = []
    for answer in ANSWERS:
        began_s = time.process_time()
        next(iter(tts.synthesize(answer, voice="")))
        times.append(round(1000 * (time.process_time() - began_s), 1))
    return tuple(times)


def main() -> None:
    """Record, and write the kept file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=10_000, help="so many of the corpus")
    parser.add_argument("--models-dir", type=Path)
    parser.add_argument("--out", type=Path, default=KEPT)
    options = parser.parse_args()
    catalogue = ModelCatalogue(models_dir=options.models_dir, cache_dir=Path("var/test-models"))
    sounds = TurnSounds(CallerVoices(catalogue, CACHE / "voices"))
    vad, stt = SileroVad(), build_stt(RECOGNISER, catalogue, threads=1, device="cpu")
    kept, chunks = [], first_chunks_ms(catalogue)
    for turn in corpus()[: options.turns]:
        file = CACHE / f"{turn.number}.json"
        if not file.exists():
            half = file.with_suffix(".part")
            half.write_bytes(msgspec.json.encode(record(turn, sounds, vad, stt)))
            half.rename(file)
        kept.append(msgspec.json.decode(file.read_bytes(), type=RecordedTurn))
        print(f"{len(kept)} turns\r", end="", flush=True)
    write_recording(Recording(machine(), RECOGNISER, chunks, tuple(kept)), options.out)
    print(f"{len(kept)} turns in {options.out}, {options.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
