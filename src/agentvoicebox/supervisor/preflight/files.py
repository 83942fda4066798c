"""Folders and files that the roles read and write."""

import datetime
import os
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from agentvoicebox.agents import Agents
from agentvoicebox.errors import SettingsError
from agentvoicebox.settings import Settings
from agentvoicebox.supervisor.embedded.data_folder import is_in_use
from agentvoicebox.supervisor.preflight.finding import Finding, State, assignment, from_error

LEAST_FREE_MB = 100
ADVISED_FREE_MB = 500  # for joined or split models, the database, and a day of logs
USE_DATA_FOLDER = frozenset({"gateway", "webhook", "stt", "tts"})  # for recordings and models
USE_MODELS = frozenset({"gateway", "stt", "tts"})
USE_AGENTS = frozenset({"gateway", "tool"})


def check_files(settings: Settings, roles: Collection[str], *, has_embedded_servers: bool) -> Iterator[Finding]:
    """Findings about what these roles and the embedded servers need."""
    if has_embedded_servers or not USE_DATA_FOLDER.isdisjoint(roles):
        yield _data_folder(settings, is_exclusive=has_embedded_servers)
    if settings.models_dir and not USE_MODELS.isdisjoint(roles):
        yield _models_folder(settings)
    if not USE_AGENTS.isdisjoint(roles):
        yield from _agents(settings)
    if "gateway" in roles:
        if settings.tls_cert:
            yield from _tried("certificate", lambda: _certificate(settings))
        if settings.policy_dir:
            yield from _tried("policy", lambda: _policy(settings))


def _tried(what: str, check: Callable[[], Finding]) -> list[Finding]:
    try:
        return [check()]
    except SettingsError as error:
        return from_error(what, error)


def _data_folder(settings: Settings, *, is_exclusive: bool) -> Finding:
    folder = Path(settings.data_dir).resolve()
    setting = assignment(settings, "data_dir")
    other = "set AVB_DATA_DIR to another folder"
    try:
        there = next(each for each in (folder, *folder.parents) if each.exists())  # the check creates nothing
        with tempfile.TemporaryFile(dir=there):
            pass
        stats = os.statvfs(there)
        is_taken = is_exclusive and is_in_use(folder)
    except OSError as error:
        return Finding(
            "data folder",
            "error",
            f"{folder} can't be written ({error.strerror})",
            f"correct that, or {other}",
            setting,
        )
    if is_taken:
        return Finding("data folder", "taken", f"{folder} is in use by another server", f"stop it, or {other}", setting)
    free_mb = stats.f_bavail * stats.f_frsize // 1_000_000
    if free_mb < ADVISED_FREE_MB:
        state: State = "error" if free_mb < LEAST_FREE_MB else "warning"
        return Finding("data folder", state, f"{folder} has only {free_mb} MB free", f"make room, or {other}", setting)
    return Finding("data folder", "ok", f"{folder}, {free_mb} MB free")


def _models_folder(settings: Settings) -> Finding:
    if Path(settings.models_dir).is_dir():
        return Finding("models folder", "ok", settings.models_dir)
    fix = "create it, or leave AVB_MODELS_DIR empty"
    return Finding("models folder", "error", "no such folder", fix, assignment(settings, "models_dir"))


def _agents(settings: Settings) -> Iterator[Finding]:
    try:
        agents = Agents.load(settings)
    except SettingsError as error:
        yield from from_error("agents", error)
        return
    offered = ", ".join(agents.offered)
    if offered:
        yield Finding("agents", "ok", offered)
    else:
        yield Finding("agents", "warning", "no agent can answer", "; ".join(dict.fromkeys(agents.unavailable.values())))
    for name, reason in agents.unavailable.items():
        if name == settings.default_agent:
            setting = assignment(settings, "default_agent")
            yield Finding(f"agent {name}", "error", "this agent can't answer", reason, setting)
        else:
            yield Finding(f"agent {name}", "optional", "not offered", reason)


def _certificate(settings: Settings) -> Finding:
    from agentvoicebox.http_server.tls import server_context, valid_until  # late, as below: few servers need it

    server_context(settings.tls_cert, settings.tls_key)
    end = valid_until(settings.tls_cert)
    if end > datetime.datetime.now(datetime.UTC):
        return Finding("certificate", "ok", f"valid until {end:%Y-%m-%d}")
    fix = "renew it: clients refuse it now (`agentvoicebox tls` makes a new one)"
    return Finding("certificate", "warning", f"valid until {end:%Y-%m-%d}", fix, assignment(settings, "tls_cert"))


def _policy(settings: Settings) -> Finding:
    from agentvoicebox.policy.embedded import EmbeddedPolicy

    EmbeddedPolicy(settings.policy_dir)
    return Finding("policy", "ok", settings.policy_dir)
