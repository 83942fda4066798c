"""How fast the installed speech engines are on this machine, one thread each: milliseconds to text, and to the first sound.

    python benchmarks/speech_engines.py [--runs 5] [--json]

Speech to be recognised is made by the first voice engine that works.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from agentvoicebox.audio.resample import resample
from agentvoicebox.errors import ProviderError
from agentvoicebox.ports.providers import Int16Array, Tts
from agentvoicebox.providers.catalogue import ModelCatalogue
from agentvoicebox.providers.processor import this_processor
from agentvoicebox.providers.registry import build_stt, build_tts
from agentvoicebox.providers.tts.cache import PhraseCache

PROFILES = ("fast", "accurate", "moonshine", "faster-whisper")
ENGINES = ("piper", "kokoro", "espeak")
SHORT = "Let me check that."
LONG = "Your parcel left the sorting centre this morning, and it will be with you tomorrow."
SPEECH_S = (1.5, 3.0, 6.0)


def median_ms(action: Callable[[], object], runs: int) -> float:
    """Median duration after one warm-up."""
    action()
    durations = []
    for _ in range(runs):
        began_s = time.perf_counter()
        action()
        durations.append(1000 * (time.perf_counter() - began_s))
    return round(statistics.median(durations), 1)


def measure_tts(catalogue: ModelCatalogue, runs: int) -> dict[str, dict[str, float]]:
    """First chunk of a short and a long sentence, and real-time factor, by engine."""
    results = {}
    for name in ENGINES:
        tts = build_tts([name], catalogue, cache=PhraseCache(most_bytes=0))
        try:
            seconds = everything(tts, LONG).size / 24_000
        except ProviderError as error:
            print(f"{name}: {error.message}")
            continue
        results[name] = {
            "first_sound_short_ms": median_ms(lambda tts=tts: next(tts.synthesize(SHORT, voice="")), runs),  # type: ignore[misc]
            "first_sound_long_ms": median_ms(lambda tts=tts: next(tts.synthesize(LONG, voice="")), runs),  # type: ignore[misc]
            "real_time_factor": round(median_ms(lambda tts=tts: everything(tts, LONG), runs) / 1000 / seconds, 3),  # type: ignore[misc]
        }
    return results


def measure_stt(catalogue: ModelCatalogue, runs: int) -> dict[str, dict[str, float]]:
    """Time to the text of 1.5, 3 and 6 s of speech, by profile."""
    voice = build_tts(ENGINES, catalogue)
    speech = resample(everything(voice, f"{LONG} {LONG}"), 24_000, 16_000)
    results = {}
    for profile in PROFILES:
        try:
            stt = build_stt(profile, catalogue, threads=1, device="cpu")
        except ProviderError as error:
            print(f"{profile}: {error.message}")
            continue
        results[profile] = {
            f"{seconds}_s_ms": median_ms(
                lambda stt=stt, piece=speech[: int(seconds * 16_000)]: stt.transcribe(piece),  # type: ignore[misc]
                runs,
            )
            for seconds in SPEECH_S
        }
    return results


def everything(tts: Tts, text: str) -> Int16Array:
    """All samples of a text."""
    return np.concatenate(list(tts.synthesize(text, voice="")))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--models-dir", type=Path)
    options = parser.parse_args()
    catalogue = ModelCatalogue(models_dir=options.models_dir, cache_dir=Path("var/models"))
    results = {"tts": measure_tts(catalogue, options.runs), "stt": measure_stt(catalogue, options.runs)}
    if options.json:
        print(json.dumps({"processor": str(this_processor()), **results}, indent=2))
        return
    print(this_processor())
    for kind, engines in results.items():
        for engine, figures in engines.items():
            print(f"{kind} {engine:15}", "  ".join(f"{name} {value:g}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
