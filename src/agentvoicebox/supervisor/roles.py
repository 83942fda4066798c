"""Which roles there are, what each needs, and which process runs it. The one table of assembly.

A role is `async def serve_x(settings, announce_ready, stop, report)`: it calls `announce_ready()` once it can take work, serves
until `stop` is set, drains, and returns. Its metrics, and what it needs to be ready, it tells to `report`.

Roles are imported by name and late, so that a process loads only what it runs.
"""

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Collection
from typing import cast

import msgspec

from agentvoicebox.errors import SettingsError
from agentvoicebox.kits.registry import kits_of
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.settings import Settings
from agentvoicebox.settings.values import variable
from agentvoicebox.telemetry.process_report import ProcessReport

Serve = Callable[[Settings, Callable[[], None], asyncio.Event, ProcessReport], Awaitable[None]]


class Role(msgspec.Struct, frozen=True):
    """One part of the system.

    Attributes:
        target: `module:function`.
        kind: the jobs it takes, or None.
        needs: the settings without which it can't run.
        has_port: whether it opens an internal port of its own. Roles without one share their process's.
        asked_by: the setting without which `serve` does not start it; empty: it always does.
    """

    name: str
    target: str
    kind: JobKind | None = None
    needs: tuple[str, ...] = ("redis_url",)
    has_port: bool = False
    asked_by: str = ""


class ChildSpec(msgspec.Struct, frozen=True):
    """One process and the roles in it.

    Attributes:
        drain_s: how long it may take to end after SIGTERM, then it is killed.
        faces_callers: it is stopped before the others, which still work for it while it drains.
    """

    name: str
    roles: tuple[Role, ...]
    drain_s: float
    faces_callers: bool = False


GATEWAY_DRAIN_S = 30.0  # P6: drained and cleaned within 30 s
WORKER_DRAIN_S = 10.0  # B4.3: in-flight work ends within 10 s
STORES = ("redis_url", "postgres_url")
WORKER_PORT = "worker_internal_port"  # the setting of the internal port of a process without another one
SERVE_KITS = ("tool", "webhook")  # need PostgreSQL only where a kit does

SPEECH = "speech"

CHILDREN = (
    # Recognition and speech share the cores, so they share threads with one order of urgency (ADR 31). No model shares an
    # interpreter with the gateway's event loop.
    ChildSpec(
        SPEECH,
        (
            Role("stt", "agentvoicebox.workers.stt:serve_stt", JobKind.STT),
            Role("tts", "agentvoicebox.workers.tts:serve_tts", JobKind.TTS),
        ),
        WORKER_DRAIN_S,
    ),
    # These wait for the network nearly all the time.
    ChildSpec(
        "worker",
        (
            Role("llm", "agentvoicebox.workers.llm:serve_llm", JobKind.LLM),
            Role("tool", "agentvoicebox.workers.tool:serve_tool", JobKind.TOOL, STORES),
            Role("recorder", "agentvoicebox.workers.recorder:serve_recorder", JobKind.RECORD, STORES),
            Role("janitor", "agentvoicebox.workers.janitor:serve_janitor", needs=STORES),
            Role("events", "agentvoicebox.workers.events:serve_events", needs=("postgres_url",)),
        ),
        WORKER_DRAIN_S,
    ),
    # Bodies of a voice platform can be megabytes of JSON: read beside the calls, not between them.
    ChildSpec(
        "webhook",
        (Role("webhook", "agentvoicebox.webhook.role:serve_webhook", needs=("postgres_url",), has_port=True),),
        WORKER_DRAIN_S,
        faces_callers=True,
    ),
    ChildSpec(
        "gateway",
        (Role("gateway", "agentvoicebox.gateway.role:serve_gateway", needs=STORES, has_port=True),),
        GATEWAY_DRAIN_S,
        faces_callers=True,
    ),
    # A client of the gateways: its loop carries audio of telephone lines alone.
    ChildSpec(
        "telephony",
        (Role("telephony", "agentvoicebox.telephony.role:serve_telephony", needs=(), asked_by="telephony"),),
        WORKER_DRAIN_S,
        faces_callers=True,
    ),
    # Media of browsers: a packet every 20 ms, each way, for each call. Nothing else may make them late.
    ChildSpec(
        "webrtc",
        (Role("webrtc", "agentvoicebox.webrtc.role:serve_webrtc", needs=(), asked_by="webrtc"),),
        WORKER_DRAIN_S,
        faces_callers=True,
    ),
)

ROLES = tuple(role.name for spec in CHILDREN for role in spec.roles)


def children(names: Collection[str]) -> tuple[ChildSpec, ...]:
    """The processes of these roles alone. One that recognises or speaks only has the name of its role.

    Raises:
        SettingsError: there is no such role.
    """
    strange = sorted(set(names) - set(ROLES))
    if strange:
        raise SettingsError(f"--role: there is no role {', '.join(strange)}; there are {', '.join(ROLES)}")
    chosen = [
        msgspec.structs.replace(spec, roles=tuple(role for role in spec.roles if role.name in names))
        for spec in CHILDREN
    ]
    return tuple(
        msgspec.structs.replace(spec, name=spec.roles[0].name) if spec.name == SPEECH and len(spec.roles) == 1 else spec
        for spec in chosen
        if spec.roles
    )


def all_children(settings: Settings) -> tuple[ChildSpec, ...]:
    """The processes of a whole system: all whose roles the settings ask for."""
    return tuple(
        spec for spec in CHILDREN if all(not role.asked_by or getattr(settings, role.asked_by) for role in spec.roles)
    )


def needs(name: str, specs: Collection[ChildSpec], settings: Settings) -> list[str]:
    """Which roles of these can't run without the setting `name`."""
    is_spared = name == "postgres_url" and not any(kit.needs_postgres(settings) for kit in kits_of(settings))
    roles = (role for spec in specs for role in spec.roles)
    return [role.name for role in roles if name in role.needs and not (is_spared and role.name in SERVE_KITS)]


def check_needs(specs: Collection[ChildSpec], settings: Settings) -> None:
    """Raise SettingsError, naming what is missing and for whom, unless all of these roles can run without embedded servers."""
    faults = [
        f"{variable(name)} is needed by {', '.join(asking)}: single roles share servers of your own"
        for name in STORES
        if not getattr(settings, name) and (asking := needs(name, specs, settings))
    ]
    if faults:
        raise SettingsError("settings are missing:", faults)


def load(target: str) -> Serve:
    """Import a role by `module:function`. Raises ImportError or AttributeError when its module is broken."""
    module, _, function = target.partition(":")
    return cast(Serve, getattr(importlib.import_module(module), function))
