"""What this machine's processor decides: the recogniser, the order of voices, and how many calls at a time.

Pure: of settings, of what is installed and of a measurement (`providers/engine_speed`) come settings without `auto`, and a reason
for each. Settings that the operator made stay as they are.
"""

from collections.abc import Collection

import msgspec

from agentvoicebox.providers.engine_speed import EngineSpeed, MachineSpeed
from agentvoicebox.providers.registry import AUTO_PROFILES
from agentvoicebox.settings import Settings
from agentvoicebox.settings.engines import AUTO, USUAL_ORDER
from agentvoicebox.settings.gateway import UNMEASURED_CALLS

# Moonshine mishears answers of one word and isolated letters more often, so it is chosen only where Whisper is far too slow.
SLOW_DECODE_MS = 500.0
MUCH_FASTER = 0.5
# Kokoro has the better voice. It comes first where no caller waits for it: neither for the first sound, nor while it speaks.
KOKORO_FIRST_MS = 300.0
KOKORO_FACTOR = 0.25
# A call, turn by turn: the caller speaks, the agent speaks. Of nine seconds five are the agent's. A turn is decoded at each
# pause, also at short ones inside a sentence.
TURN_S = 9.0
REPLY_S = 5.0
DECODES = 1.63  # `benchmarks/endpointing`, if one turn in five has a pause inside
# Of a core, without the engines, of calls that speak: gateway 0.024, store 0.003, language model and tools 0.004. Measured with
# 1, 5 and 10 callers of `benchmarks/voice_to_voice`; a gateway with many calls takes less for each.
PLATFORM_COST = 0.03
CROWDED = 1.25  # engines take this much longer while their neighbours' cores compute, too: they share caches and memory
SHARE = 0.8  # of the cores: callers don't speak in turn, and above it everyone waits for everyone
MOST_CALLS = 100  # of one gateway process, which runs on one core
MEASURED = ("fast", "accurate", "moonshine", "faster-whisper", "piper", "kokoro", "espeak")


class EngineChoice(msgspec.Struct, frozen=True):
    """A decision.

    Attributes:
        settings: with a recogniser, an order of voices and a number of calls.
        reasons: setting → its value and why, for people; only of what was left to the machine.
    """

    settings: Settings
    reasons: dict[str, str]


def engines_to_measure(settings: Settings, installed: Collection[str], roles: Collection[str]) -> tuple[str, ...]:
    """The engines whose speed decides something here; none when the operator decided everything.

    Args:
        settings: of the deployment.
        installed: engines as `stt/NAME` and `tts/NAME`.
        roles: that run on this machine.
    """
    has_both = {"stt", "tts"} <= set(roles)
    decides_calls = settings.max_calls is None and has_both
    wanted: list[str] = []
    if "stt" in roles and (settings.stt_profile == AUTO or decides_calls):
        wanted += [f"stt/{name}" for name in _profiles(settings)]
    if "tts" in roles and (settings.tts_order == AUTO or decides_calls):
        wanted += ["tts/kokoro"] if settings.tts_order == AUTO else []
        spoken = [f"tts/{name}" for name in settings.tts_engines if f"tts/{name}" in installed]
        wanted += spoken[:1]
    found = [engine for engine in wanted if engine in installed and engine.partition("/")[2] in MEASURED]
    return tuple(dict.fromkeys(found))


def choose(
    settings: Settings, speed: MachineSpeed | None, installed: Collection[str], roles: Collection[str]
) -> EngineChoice:
    """Decide what the settings leave to the machine.

    Args:
        settings: of the deployment.
        speed: what was measured; None: nothing is known, and the usual values hold.
        installed: engines as `stt/NAME` and `tts/NAME`.
        roles: that run on this machine.
    """
    engines = {} if speed is None else speed.engines
    chosen: dict[str, object] = {}
    reasons = {}
    if settings.stt_profile == AUTO:
        chosen["stt_profile"], reasons["stt_profile"] = _recogniser(engines, installed)
    if settings.tts_order == AUTO:
        chosen["tts_order"], reasons["tts_order"] = _order(engines)
    decided = settings.model_copy(update=chosen)
    if settings.max_calls is None:
        calls, reasons["max_calls"] = _calls(decided, speed, installed, roles)
        decided = decided.model_copy(update={"max_calls": calls})
    return EngineChoice(decided, reasons)


def _profiles(settings: Settings) -> tuple[str, ...]:
    return AUTO_PROFILES[:2] if settings.stt_profile == AUTO else (settings.stt_profile,)


def _recogniser(engines: dict[str, EngineSpeed], installed: Collection[str]) -> tuple[str, str]:
    here = [name for name in AUTO_PROFILES if f"stt/{name}" in installed]
    first = here[0] if here else AUTO_PROFILES[0]
    whisper, moonshine = engines.get("stt/fast"), engines.get("stt/moonshine")
    if whisper is None:
        return first, f"{first}: the first that is installed"
    if moonshine is not None and whisper.first_ms > SLOW_DECODE_MS:
        times = f"fast takes {whisper.first_ms:.0f} ms a decode, moonshine {moonshine.first_ms:.0f}"
        if moonshine.first_ms <= MUCH_FASTER * whisper.first_ms:
            return "moonshine", f"moonshine: {times}"
        return "fast", f"fast: {times}, which gains too little for its mistakes"
    return "fast", f"fast: {whisper.first_ms:.0f} ms a decode"


def _order(engines: dict[str, EngineSpeed]) -> tuple[str, str]:
    kokoro = engines.get("tts/kokoro")
    if kokoro is None:
        return USUAL_ORDER, f"{USUAL_ORDER}: the usual order"
    times = f"kokoro takes {kokoro.first_ms:.0f} ms to its first sound, and {kokoro.real_time_factor:.2f} of a core"
    if kokoro.first_ms <= KOKORO_FIRST_MS and kokoro.real_time_factor <= KOKORO_FACTOR:
        return "kokoro,piper,espeak", f"kokoro,piper,espeak: {times}"
    return USUAL_ORDER, f"{USUAL_ORDER}: {times}, so it would keep callers waiting"


def _calls(
    settings: Settings, speed: MachineSpeed | None, installed: Collection[str], roles: Collection[str]
) -> tuple[int, str]:
    if not {"stt", "tts"} <= set(roles):
        return (
            MOST_CALLS,
            f"{MOST_CALLS}: what a gateway process carries; its workers run elsewhere, and their wait decides",
        )
    recogniser = None if speed is None else speed.engines.get(f"stt/{settings.stt_profile}")
    spoken = next((f"tts/{name}" for name in settings.tts_engines if f"tts/{name}" in installed), "")
    voice = None if speed is None else speed.engines.get(spoken)
    if speed is None or recogniser is None or voice is None:
        return UNMEASURED_CALLS, f"{UNMEASURED_CALLS}: the engines' speed is not known"
    cost, cores = call_cost(recogniser, voice), speed.processor.cores
    calls = max(1, min(MOST_CALLS, int(cores * SHARE / cost)))
    return calls, f"{calls}: {cores} cores x {SHARE} / {cost:.3f} of a core a call"


def call_cost(recogniser: EngineSpeed, voice: EngineSpeed) -> float:
    """How much of a core a call takes."""
    turn_s = DECODES * recogniser.first_ms / 1000 + voice.real_time_factor * REPLY_S
    return CROWDED * turn_s / TURN_S + PLATFORM_COST
