"""The speech engines that the settings name: known, and installed with their models."""

import difflib
from collections.abc import Collection, Iterator, Sequence

from agentvoicebox.providers.catalogue import ModelCatalogue
from agentvoicebox.providers.needs import STT_NEEDS, TTS_NEEDS, VOICE_ACTIVITY, EngineNeeds, tts_plug_ins
from agentvoicebox.providers.registry import profile_of
from agentvoicebox.settings import Settings
from agentvoicebox.supervisor.preflight.finding import Finding, State, assignment

FOR_TESTS = "scripted"
WHISPER = ("fast", "accurate", "faster-whisper")  # the profiles that run on CTranslate2


def check_engines(settings: Settings, roles: Collection[str]) -> Iterator[Finding]:
    """Findings about the engines of these roles."""
    catalogue = ModelCatalogue.of(settings.models_dir, settings.data_dir)
    if "stt" in roles:
        profile, setting = profile_of(settings.stt_profile, catalogue), assignment(settings, "stt_profile")
        found = engine(f"recogniser {profile}", STT_NEEDS[profile], catalogue, absent="error", setting=setting)
        yield found
        if found.state == "ok" and profile in WHISPER:
            yield from _device(settings)
    if "gateway" in roles:
        yield engine("voice detection", VOICE_ACTIVITY, catalogue, absent="error")
    if "tts" in roles:
        yield from _speech(settings, catalogue)


def engine(what: str, needs: EngineNeeds, catalogue: ModelCatalogue, *, absent: State, setting: str = "") -> Finding:
    """Whether an engine is installed; `absent` is the state if it is not."""
    missing = needs.missing(catalogue)
    if not missing:
        return Finding(what, "ok", "installed")
    commands = " and ".join(f"`{command}`" for command in missing)
    return Finding(what, absent, "not installed", f"type {commands}", setting)


def _device(settings: Settings) -> Iterator[Finding]:
    """Faults of the device and the number format of Whisper. CTranslate2 is loaded only if one of them is set."""
    if settings.stt_device != "cuda" and not settings.stt_compute_type:
        return
    import ctranslate2

    has_gpu = ctranslate2.get_cuda_device_count() > 0
    if settings.stt_device == "cuda" and not has_gpu:
        fix = "install the driver and CUDA 12, or set AVB_STT_DEVICE=cpu"
        yield Finding("recogniser's device", "error", "no GPU is visible", fix, assignment(settings, "stt_device"))
        return
    device = "cuda" if has_gpu and settings.stt_device != "cpu" else "cpu"
    known = sorted(ctranslate2.get_supported_compute_types(device))
    if settings.stt_compute_type and settings.stt_compute_type not in known:
        setting, fix = assignment(settings, "stt_compute_type"), f"leave it empty, or set one of {', '.join(known)}"
        yield Finding("recogniser's numbers", "error", f"{device} of this machine can't compute with it", fix, setting)


def _speech(settings: Settings, catalogue: ModelCatalogue) -> Iterator[Finding]:
    setting, plug_ins = assignment(settings, "tts_order"), tts_plug_ins()
    known = (*TTS_NEEDS, *plug_ins)
    if unknown := [name for name in settings.tts_engines if name not in known]:
        for name in unknown:
            yield Finding("speech engines", "error", f"no speech engine {name!r}", _known(name, known), setting)
        return
    found = [
        Finding(f"speech engine {name}", "ok", "a plug-in")
        if name in plug_ins
        else engine(f"speech engine {name}", TTS_NEEDS[name], catalogue, absent="optional")
        for name in settings.tts_engines
    ]
    if any(each.state == "ok" for each in found):
        yield from found
    else:
        yield Finding("speech engines", "error", "none of them is installed", found[0].fix, setting)


def _known(name: str, known: Sequence[str]) -> str:
    shown = [each for each in known if each != FOR_TESTS]
    near = difflib.get_close_matches(name, shown, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{hint}There are {', '.join(shown)}"
