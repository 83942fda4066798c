"""What `doctor` examines beyond a start: the program itself, everything optional, models' contents, and embedded servers."""

import platform
import sys
import tempfile
from collections.abc import Iterator

from agentvoicebox.errors import AgentVoiceBoxError
from agentvoicebox.providers.catalogue import ModelCatalogue
from agentvoicebox.providers.engine_speed import SPEECH_S
from agentvoicebox.providers.needs import STT_NEEDS, TTS_NEEDS
from agentvoicebox.providers.processor import this_processor
from agentvoicebox.providers.registry import profile_of
from agentvoicebox.settings import Settings
from agentvoicebox.settings.values import variable
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.postgres import EmbeddedPostgres
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey
from agentvoicebox.supervisor.engine_decision import decide_engines
from agentvoicebox.supervisor.preflight.engines import FOR_TESTS, engine
from agentvoicebox.supervisor.preflight.finding import Finding
from agentvoicebox.supervisor.preflight.packages import EMBEDDED, is_installed
from agentvoicebox.supervisor.roles import ROLES
from agentvoicebox.telemetry.trace_exporter import MODULE

OLDEST_PYTHON = (3, 11)
OPTIONAL_PACKAGES = {  # module: (what it is for, the command that installs it)
    "sounddevice": ("microphone and loudspeaker", "pip install 'agentvoicebox[microphone]'"),
    MODULE: ("traces (AVB_TRACES_URL)", "pip install 'agentvoicebox[traces]'"),
}


def check_python() -> Finding:
    """The version of Python."""
    version = platform.python_version()
    if sys.version_info < OLDEST_PYTHON:
        return Finding("Python", "error", version, "install Python 3.11 or newer")
    return Finding("Python", "ok", version)


def check_speed(settings: Settings, *, may_measure: bool) -> Iterator[Finding]:
    """The processor, the engines' speed on it, and what follows from both. Measures them where that was not done yet."""
    processor = this_processor()
    yield Finding("processor", "ok", str(processor))
    decision = decide_engines(settings, ROLES, may_measure=may_measure)
    if decision.fault:
        yield Finding("engines' speed", "warning", decision.fault, "set AVB_MAX_CALLS yourself (docs/sizing.md)")
    for engine_name, speed in sorted(decision.speed.engines.items() if decision.speed else ()):
        role, _, name = engine_name.partition("/")
        if role == "stt":
            yield Finding(f"recogniser {name}", "ok", f"{speed.first_ms:.0f} ms for a decode of {SPEECH_S:.0f} s")
        else:
            detail = (
                f"{speed.first_ms:.0f} ms to the first sound, {speed.real_time_factor:.2f} s for a second of speech"
            )
            yield Finding(f"speech engine {name}", "ok", detail)
    for setting, reason in decision.choice.reasons.items():
        yield Finding(variable(setting), "ok", reason)
    if settings.max_calls is not None:
        yield Finding(variable("max_calls"), "ok", f"{settings.max_calls}: as set")


def check_optional(settings: Settings) -> Iterator[Finding]:
    """Engines that the settings don't name, and packages for some commands."""
    catalogue = ModelCatalogue.of(settings.models_dir, settings.data_dir)
    for name, needs in STT_NEEDS.items():
        if name not in (profile_of(settings.stt_profile, catalogue), FOR_TESTS):
            yield engine(f"recogniser {name}", needs, catalogue, absent="optional")
    for name, needs in TTS_NEEDS.items():
        if name not in (*settings.tts_engines, FOR_TESTS):
            yield engine(f"speech engine {name}", needs, catalogue, absent="optional")
    for module, (what, command) in OPTIONAL_PACKAGES.items():
        if is_installed(module):
            yield Finding(what, "ok", "installed")
        else:
            yield Finding(what, "optional", "not installed", f"type `{command}`")
    yield _gpu()


def check_models(settings: Settings) -> Iterator[Finding]:
    """Each installed model, read whole."""
    catalogue = ModelCatalogue.of(settings.models_dir, settings.data_dir)
    for status in catalogue.list_models():
        name = status.model.name
        if status.folder is None:
            continue
        try:
            catalogue.verify(name)
        except AgentVoiceBoxError as error:
            yield Finding(f"model {name}", "error", error.message, f"type `agentvoicebox models pull {name}`")
        else:
            yield Finding(f"model {name}", "ok", f"{status.folder}, SHA-256 is right")


async def check_embedded_start() -> Finding:
    """Start both embedded servers in a temporary folder, and stop them."""
    with tempfile.TemporaryDirectory(prefix="agentvoicebox-doctor-", ignore_cleanup_errors=True) as name:
        folder = DataFolder(name)
        servers: list[EmbeddedValkey | EmbeddedPostgres] = [
            EmbeddedValkey(folder.path / "valkey", folder.sockets),
            EmbeddedPostgres(folder.path / "postgres", folder.sockets),
        ]
        try:
            for server in servers:
                await server.start()
        except AgentVoiceBoxError as error:
            return Finding(
                EMBEDDED, "error", error.message, "set AVB_REDIS_URL and AVB_POSTGRES_URL to servers of your own"
            )
        finally:
            for server in servers:
                await server.stop()
            folder.close()
    return Finding(EMBEDDED, "ok", "Valkey and PostgreSQL start and stop")


def _gpu() -> Finding:
    try:
        import ctranslate2

        count = ctranslate2.get_cuda_device_count()
    except (ImportError, RuntimeError):
        count = 0
    if count:
        return Finding("GPU", "ok", f"{count} with CUDA")
    return Finding("GPU", "optional", "none; everything runs on the processor")
