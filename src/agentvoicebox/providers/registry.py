"""Speech engines by name: creates the configured engines, and imports only their packages.

Other packages add engines by entry points: group `agentvoicebox.stt` or `agentvoicebox.tts`, whose object is called as
`factory(catalogue, threads=…)` or `factory(catalogue)`.
"""

import importlib.metadata
from collections.abc import Callable, Sequence
from typing import cast

from agentvoicebox.errors import NotInstalled
from agentvoicebox.ports.providers import Stt, Tts
from agentvoicebox.ports.voice import Voice
from agentvoicebox.providers.catalogue import ModelCatalogue
from agentvoicebox.providers.needs import STT_GROUP, STT_NEEDS, TTS_GROUP
from agentvoicebox.providers.tts.cache import CachedTts, PhraseCache
from agentvoicebox.providers.tts.chain import TtsChain
from agentvoicebox.providers.tts.voices import OPENAI_VOICES
from agentvoicebox.resilience.breaker import BreakerState
from agentvoicebox.settings.engines import AUTO

CPU_ONLY = "cpu"
OWN_ENGINES = {"piper", "kokoro", "espeak", "scripted"}
AUTO_PROFILES = ("fast", "moonshine", "accurate", "faster-whisper")  # of which `auto` is the first that is installed
KOKORO_VOICES = ("kokoro-voices", "kokoro-voices-ja")  # the first that is installed is used


def build_stt(
    profile: str, catalogue: ModelCatalogue, *, threads: int, device: str = "auto", compute_type: str = ""
) -> Stt:
    """The recogniser of a profile: `auto`, `fast`, `accurate`, `moonshine`, `faster-whisper`, `scripted`, or a plug-in's name.

    Args:
        profile: one of the above.
        catalogue: where models are found.
        threads: utterances decoded at once.
        device: `cpu`, `cuda`, or `auto` (a GPU when CTranslate2 sees one); for the Whisper profiles.
        compute_type: empty for int8 on CPU and float16 on GPU.

    Raises:
        NotInstalled: a package or model is missing, or the profile is unknown; the message says what to type.
    """
    profile = profile_of(profile, catalogue)
    match profile:
        case "fast" | "accurate":
            from agentvoicebox.providers.stt import whisper_short

            whisper = whisper_short.FAST if profile == "fast" else whisper_short.ACCURATE
            place = _device(device)
            return whisper_short.WhisperShort(
                catalogue.locate(whisper.model),
                floor_s=whisper.floor_s,
                threads=threads,
                device=place,
                compute_type=compute_type or ("int8" if place == CPU_ONLY else "float16"),
            )
        case "moonshine":
            from agentvoicebox.providers.stt.moonshine import Moonshine

            return Moonshine(catalogue.locate("moonshine-tiny-en"))
        case "faster-whisper":
            from agentvoicebox.providers.stt.faster_whisper import FasterWhisper

            base = next(
                (s.model.name for s in catalogue.list_models() if s.model.name == "whisper-base" and s.folder), ""
            )
            return FasterWhisper(
                catalogue.locate(base or "whisper-tiny-en"),
                device=_device(device),
                compute_type=compute_type,
                threads=threads,
            )
        case "scripted":
            from agentvoicebox.providers.stt.scripted import ScriptedStt

            return ScriptedStt()
        case _:
            return cast(Stt, _plug_in(STT_GROUP, profile)(catalogue, threads=threads))


def build_tts(
    order: Sequence[str],
    catalogue: ModelCatalogue,
    *,
    default_voice: str = "",
    default_speed: float = 1.0,
    cache: PhraseCache | None = None,
    on_change: Callable[[str, BreakerState], None] = lambda name, state: None,
) -> TtsChain:
    """The voice engines of an order (`piper`, `kokoro`, `espeak`, `scripted`, or plug-ins), each made when first needed.

    Args:
        order: names, tried from the left.
        catalogue: where models are found.
        default_voice: for calls that name a voice no engine has.
        default_speed: a call's speed is multiplied by it.
        cache: keeps rendered phrases of all engines; None creates one of the default size.
        on_change: see `TtsChain`.

    Raises:
        NotInstalled: a name is unknown. Missing packages and models are reported when an engine is needed.
    """
    shared = cache if cache is not None else PhraseCache()
    engines = [(name, _tts_factory(name, catalogue)) for name in order]

    def remembering(name: str, make: Callable[[], Tts]) -> tuple[str, Callable[[], Tts]]:
        return name, lambda: CachedTts(name, make(), shared)

    owners = {voice.name: voice.engine for voice in _installed_voices(order, catalogue)}
    chain = [remembering(name, make) for name, make in engines]
    return TtsChain(
        chain, default_voice=default_voice, default_speed=default_speed, voice_engines=owners, on_change=on_change
    )


def profile_of(profile: str, catalogue: ModelCatalogue) -> str:
    """The profile itself; instead of `auto` the first that is installed, or `fast`, whose absence is then reported."""
    if profile != AUTO:
        return profile
    return next((name for name in AUTO_PROFILES if not STT_NEEDS[name].missing(catalogue)), AUTO_PROFILES[0])


def voice_names(order: Sequence[str], voices: Sequence[Voice]) -> tuple[str, ...]:
    """Names that a session may ask for; none when an engine is a plug-in, whose voices are known to its worker alone."""
    return tuple(voice.name for voice in voices) if set(order) <= OWN_ENGINES else ()


def voice_list(order: Sequence[str], catalogue: ModelCatalogue) -> list[Voice]:
    """Every voice that a session may use, without loading an engine: installed ones, then OpenAI's names.

    The first belongs to the first engine of the order and is the default.
    """
    voices = _installed_voices(order, catalogue)
    if not voices:
        return []
    default, taken = voices[0], {voice.name for voice in voices}
    aliases = [name for name in OPENAI_VOICES if name not in taken]
    return voices + [Voice(name, default.engine, default.language, f"same as {default.name}") for name in aliases]


def _installed_voices(order: Sequence[str], catalogue: ModelCatalogue) -> list[Voice]:
    voices: list[Voice] = []
    for name in order:
        if name == "espeak":
            voices.append(Voice("espeak-en-us", "espeak", "en-US", "formant synthesis, the last resort"))
        elif name == "scripted":
            voices.append(Voice("tone", "scripted", "en-US", "a tone as long as the text"))
        else:
            installed = (status.model for status in catalogue.list_models() if status.folder is not None)
            voices.extend(voice for model in installed for voice in model.voices if voice.engine == name)
    return voices


def _tts_factory(name: str, catalogue: ModelCatalogue) -> Callable[[], Tts]:
    def piper() -> Tts:
        from agentvoicebox.providers.tts.piper import Piper

        return Piper(catalogue.locate("piper-joe"), catalogue.cache_dir)

    def kokoro() -> Tts:
        from agentvoicebox.providers.tts.kokoro import Kokoro

        here = {status.model.name for status in catalogue.list_models() if status.folder is not None}
        voices = next((candidate for candidate in KOKORO_VOICES if candidate in here), KOKORO_VOICES[0])
        model = catalogue.locate("kokoro-82m")
        return Kokoro(model / "kokoro-v1.0.int8.onnx", catalogue.locate(voices))

    def espeak() -> Tts:
        from agentvoicebox.providers.tts.espeak import Espeak

        return Espeak()

    def scripted() -> Tts:
        from agentvoicebox.providers.tts.scripted import ScriptedTts

        return ScriptedTts()

    own: dict[str, Callable[[], Tts]] = {"piper": piper, "kokoro": kokoro, "espeak": espeak, "scripted": scripted}
    if name in own:
        return own[name]
    factory = _plug_in(TTS_GROUP, name)
    return lambda: cast(Tts, factory(catalogue))


def _plug_in(group: str, name: str) -> Callable[..., object]:
    for point in importlib.metadata.entry_points(group=group):
        if point.name == name:
            try:
                return cast(Callable[..., object], point.load())
            except ImportError as error:
                raise NotInstalled(f"the plug-in {name} can't be imported: {error}") from error
    raise NotInstalled(f"there is no speech engine {name} ({group}); is its package installed?")


def _device(device: str) -> str:
    """`auto` becomes the GPU that CTranslate2 sees, or the CPU."""
    if device != "auto":
        return device
    try:
        import ctranslate2
    except ImportError:
        return CPU_ONLY
    return "cuda" if ctranslate2.get_cuda_device_count() > 0 else CPU_ONLY
