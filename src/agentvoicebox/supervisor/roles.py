"""Which roles there are, what each needs, and which process runs it. The one table of assembly.

A role is `async def serve_x(settings, announce_ready, stop)`: it calls `announce_ready()` once it can take work, serves
until `stop` is set, drains, and returns. Roles are imported by name and late, so that a process loads only what it runs.
"""

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Collection
from typing import cast

import msgspec

from agentvoicebox.errors import SettingsError
from agentvoicebox.kits.registry import kits_of
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.settings import PREFIX, Settings

Serve = Callable[[Settings, Callable[[], None], asyncio.Event], Awaitable[None]]


class Role(msgspec.Struct, frozen=True):
    """One part of the system.

    Attributes:
        target: `module:function`.
        kind: the jobs it takes, or None.
        needs: the settings without which it can't run.
    """

    name: str
    target: str
    kind: JobKind | None = None
    needs: tuple[str, ...] = ("redis_url",)


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
SERVE_KITS = ("tool", "webhook")  # need PostgreSQL only where a kit does

CHILDREN = (
    # Speech has a process each: no model shares an interpreter with the gateway's event loop, or with another model.
    ChildSpec("stt", (Role("stt", "agentvoicebox.workers.stt:serve_stt", JobKind.STT),), WORKER_DRAIN_S),
    ChildSpec("tts", (Role("tts", "agentvoicebox.workers.tts:serve_tts", JobKind.TTS),), WORKER_DRAIN_S),
    # These wait for the network nearly all the time.
    ChildSpec(
        "worker",
        (
            Role("llm", "agentvoicebox.workers.llm:serve_llm", JobKind.LLM),
            Role("tool", "agentvoicebox.workers.tool:serve_tool", JobKind.TOOL, STORES),
            Role("recorder", "agentvoicebox.workers.recorder:serve_recorder", JobKind.RECORD, STORES),
            Role("janitor", "agentvoicebox.workers.janitor:serve_janitor", needs=STORES),
        ),
        WORKER_DRAIN_S,
    ),
    # Bodies of a voice platform can be megabytes of JSON: read beside the calls, not between them.
    ChildSpec(
        "webhook",
        (Role("webhook", "agentvoicebox.webhook.role:serve_webhook", needs=("postgres_url",)),),
        WORKER_DRAIN_S,
        faces_callers=True,
    ),
    ChildSpec(
        "gateway",
        (Role("gateway", "agentvoicebox.gateway.role:serve_gateway", needs=STORES),),
        GATEWAY_DRAIN_S,
        faces_callers=True,
    ),
)

ROLES = tuple(role.name for spec in CHILDREN for role in spec.roles)


def children(names: Collection[str]) -> tuple[ChildSpec, ...]:
    """The processes of these roles alone.

    Raises:
        SettingsError: there is no such role.
    """
    strange = sorted(set(names) - set(ROLES))
    if strange:
        raise SettingsError(f"there is no role {', '.join(strange)}; known are {', '.join(ROLES)}")
    chosen = [
        msgspec.structs.replace(spec, roles=tuple(role for role in spec.roles if role.name in names))
        for spec in CHILDREN
    ]
    return tuple(spec for spec in chosen if spec.roles)


def needs(name: str, specs: Collection[ChildSpec], settings: Settings) -> list[str]:
    """Which roles of these can't run without the setting `name`."""
    is_spared = name == "postgres_url" and not any(kit.needs_postgres(settings) for kit in kits_of(settings))
    roles = (role for spec in specs for role in spec.roles)
    return [role.name for role in roles if name in role.needs and not (is_spared and role.name in SERVE_KITS)]


def check_needs(specs: Collection[ChildSpec], settings: Settings) -> None:
    """Raise SettingsError, naming what is missing and for whom, unless all of these roles can run without embedded servers."""
    faults = [
        f"{PREFIX}{name.upper()} is needed by {', '.join(asking)}"
        for name in STORES
        if not getattr(settings, name) and (asking := needs(name, specs, settings))
    ]
    if faults:
        raise SettingsError("single roles share servers of your own:\n  " + "\n  ".join(faults))


def load(target: str) -> Serve:
    """Import a role by `module:function`. Raises ImportError or AttributeError when its module is broken."""
    module, _, function = target.partition(":")
    return cast(Serve, getattr(importlib.import_module(module), function))
