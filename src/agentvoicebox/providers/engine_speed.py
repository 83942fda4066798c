"""How fast this machine's speech engines are: measured once, in a process of its own, and kept in the data folder.

    python -m agentvoicebox.providers.engine_speed MODELS_DIR DATA_DIR ENGINE…

prints the measurement as JSON. An engine is `stt/NAME` or `tts/NAME`. Times are processor time of one core, the least of a few
runs: what the engine takes on a core of its own, whatever else the machine does meanwhile. They are measured again when the
processor, the number of cores, a model or an engine's package changes.
"""

import contextlib
import importlib.metadata
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import msgspec
import numpy as np

from agentvoicebox.errors import ProviderError, ProviderUnavailable
from agentvoicebox.ports.providers import Int16Array
from agentvoicebox.processes.native_threads import without_library_threads
from agentvoicebox.providers.catalogue import ModelCatalogue, known_model
from agentvoicebox.providers.needs import STT_NEEDS, TTS_NEEDS
from agentvoicebox.providers.processor import Processor, this_processor
from agentvoicebox.providers.whole_file import write_whole

FILE = "engine-speed.json"  # in the data folder
MOST_BYTES = 64 * 1024
TIMEOUT_S = 120.0  # the first load of a voice prepares it
RUNS = 3
SPEECH_S = 3.0  # what is decoded: as long as a usual turn
SHORT = "Let me check that."
LONG = "Your parcel left the sorting centre this morning, and it will be with you tomorrow."
PACKAGES = ("ctranslate2", "onnxruntime", "numpy")


class EngineSpeed(msgspec.Struct, frozen=True):
    """One engine on one core.

    Attributes:
        first_ms: of a recogniser, one decode of SPEECH_S of audio; of a voice, the first chunk of a short sentence.
        real_time_factor: of a voice, processor time for a second of its audio; of a recogniser 0.
    """

    first_ms: float
    real_time_factor: float = 0.0


class MachineSpeed(msgspec.Struct, frozen=True):
    """A measurement.

    Attributes:
        processor: on which.
        of: what was measured: engine → what its speed depends on besides the processor.
        engines: engine → its speed; those that failed are absent.
    """

    processor: Processor
    of: dict[str, str]
    engines: dict[str, EngineSpeed]


def known_speed(data_dir: str, engines: Collection[str]) -> MachineSpeed | None:
    """The kept measurement, if it is of this processor and of all of these engines as they are installed now."""
    try:
        data = (Path(data_dir) / FILE).read_bytes()[:MOST_BYTES]
        kept = msgspec.json.decode(data, type=MachineSpeed)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    wanted = {engine: identity(engine) for engine in engines}
    is_of_these = wanted.items() <= kept.of.items()
    return kept if is_of_these and kept.processor == this_processor() else None


def measured_speed(models_dir: str, data_dir: str, engines: Sequence[str]) -> MachineSpeed:
    """Measure in a process of its own, some seconds long, and keep the result. Blocks.

    Raises:
        ProviderUnavailable: it could not be measured.
    """
    command = [sys.executable, "-m", "agentvoicebox.providers.engine_speed", models_dir, data_dir, *engines]
    try:
        done = subprocess.run(
            command,
            env=without_library_threads(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            check=True,
        )
        # libraries may print before it
        speed = msgspec.json.decode(done.stdout.strip().splitlines()[-1], type=MachineSpeed)
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError, IndexError) as error:
        raise ProviderUnavailable(f"the engines' speed could not be measured ({type(error).__name__})") from error
    with contextlib.suppress(OSError):  # where it can't be written, it is measured again at the next start
        write_whole(Path(data_dir) / FILE, msgspec.json.encode(speed))
    return speed


def identity(engine: str) -> str:
    """What an engine's speed depends on besides the processor: packages and models."""
    role, _, name = engine.partition("/")
    needs = (STT_NEEDS if role == "stt" else TTS_NEEDS).get(name)
    versions = []
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{package} {importlib.metadata.version(package)}")
    models = [known_model(model) for names in (needs.models if needs else ()) for model in names]
    digests = [file.sha256[:12] for model in models for file in model.files]
    return " ".join([*versions, *digests])


def measure(catalogue: ModelCatalogue, engines: Sequence[str]) -> MachineSpeed:
    """Measure here. Engines that don't work are left out."""
    from agentvoicebox.audio.resample import resample
    from agentvoicebox.providers.registry import build_stt, build_tts  # late: they load engines
    from agentvoicebox.providers.tts.cache import PhraseCache

    found: dict[str, EngineSpeed] = {}
    speech = hum()
    for engine in sorted(engines, reverse=True):  # voices first: what they say is decoded
        role, _, name = engine.partition("/")
        with contextlib.suppress(ProviderError):
            if role == "stt":
                stt = build_stt(name, catalogue, threads=1, device="cpu")
                found[engine] = EngineSpeed(least_ms(lambda stt=stt, speech=speech: stt.transcribe(speech)))  # type: ignore[misc]
            else:
                tts = build_tts([name], catalogue, cache=PhraseCache(most_bytes=0))
                spoken = np.concatenate(list(tts.synthesize(LONG, voice="")))
                speech = resample(spoken, 24_000, 16_000)[: int(SPEECH_S * 16_000)]
                whole_ms = least_ms(lambda tts=tts: list(tts.synthesize(LONG, voice="")))  # type: ignore[misc]
                first_ms = least_ms(lambda tts=tts: next(tts.synthesize(SHORT, voice="")))  # type: ignore[misc]
                found[engine] = EngineSpeed(first_ms, round(whole_ms / (spoken.size / 24.0), 4))
    return MachineSpeed(this_processor(), {engine: identity(engine) for engine in engines}, found)


def hum() -> Int16Array:
    """Audio that recognisers take for a voice, where no engine speaks: a low tone in syllables."""
    at_s = np.arange(int(SPEECH_S * 16_000)) / 16_000
    tone = sum(np.sin(2 * np.pi * 120 * harmonic * at_s) / harmonic for harmonic in range(1, 9))
    return (tone * np.sin(2 * np.pi * 2 * at_s) ** 2 * 6_000).astype(np.int16)


def least_ms(
    action: Callable[[], object], *, runs: int = RUNS, clock: Callable[[], float] = time.process_time
) -> float:
    """The least processor time of `runs`, after one more that loads and warms up."""
    action()
    spent = []
    for _ in range(runs):
        began_s = clock()
        action()
        spent.append(clock() - began_s)
    return round(1000 * min(spent), 1)


if __name__ == "__main__":
    models_dir, data_dir, *names = sys.argv[1:]
    print(msgspec.json.encode(measure(ModelCatalogue.of(models_dir, data_dir), names)).decode())
