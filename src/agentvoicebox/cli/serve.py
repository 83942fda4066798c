"""`agentvoicebox serve`: the whole server on this machine, or single roles of a server on several machines.

Prints each step of the start, then the addresses and the required keys, to standard output. The log goes to standard error, and
where JSON is asked for (`AVB_LOG_FORMAT=json`, as images do) there is nothing else: a collector can read every line.
`supervisor.run` runs the processes.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentvoicebox.agents import Agents
from agentvoicebox.cli.console import FAILED, console
from agentvoicebox.errors import AgentVoiceBoxError
from agentvoicebox.kits.registry import kits_of, load_settings
from agentvoicebox.loopback import is_loopback
from agentvoicebox.providers.processor import this_processor
from agentvoicebox.settings import Settings
from agentvoicebox.supervisor.engine_decision import decide_engines
from agentvoicebox.supervisor.preflight.checks import examine
from agentvoicebox.supervisor.preflight.finding import refuse
from agentvoicebox.supervisor.roles import ROLES, all_children, children
from agentvoicebox.telemetry.logs import configure, get_logger

if TYPE_CHECKING:
    from agentvoicebox.supervisor.run import Status

SERVICE = "supervisor"
EVERYTHING_READY = "ready after"  # start of the line after the last step
COLOURS = {"ready": "green", "died": "red", "stopping": "dim", "stopped": "dim"}

_log = get_logger(__name__)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; by default AVB_HOST or 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; by default AVB_PORT or 8000.")] = None,
    data_dir: Annotated[
        str | None, typer.Option(help="Folder of the embedded servers; by default AVB_DATA_DIR or var.")
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(help=f"Run only this role; repeatable: {', '.join(ROLES)}."),
    ] = None,
) -> None:
    """Start the whole server on this machine; Ctrl-C stops it.

    Settings, ports, files, models and servers are checked first. Valkey and PostgreSQL are embedded unless AVB_REDIS_URL and
    AVB_POSTGRES_URL are set. The gateway and the workers are separate processes.

    On 127.0.0.1 without AVB_API_KEYS any bearer key is accepted. Any other address needs keys:

      AVB_API_KEYS=a-long-secret agentvoicebox serve --host 0.0.0.0

    Another language model, from any OpenAI-compatible server:

      AVB_LLM=ollama/qwen3 agentvoicebox serve

    Over TLS, with a certificate of your own (`agentvoicebox tls` makes one):

      AVB_TLS_CERT=cert.pem AVB_TLS_KEY=key.pem agentvoicebox serve

    One of several machines, with servers in AVB_REDIS_URL and AVB_POSTGRES_URL (docs/operations.md):

      agentvoicebox serve --role gateway --host 0.0.0.0
    """
    given: dict[str, Any] = {"host": host, "port": port, "data_dir": data_dir}
    given = {name: value for name, value in given.items() if value is not None}
    if not is_log_only():
        _serve(given, role)
        return
    configure(service=SERVICE)
    try:
        _serve(given, role)
    except AgentVoiceBoxError as error:
        _log.critical("the server can't go on", code=error.code, reason=error.message)
        raise typer.Exit(FAILED) from error
    except Exception as error:
        _log.critical("unexpected error", exc_info=error)
        raise typer.Exit(FAILED) from error


def is_log_only() -> bool:
    """Whether `serve` writes log lines alone: the JSON form was asked for, not only taken by default."""
    return os.environ.get("AVB_LOG_FORMAT") == "json"


def _serve(given: dict[str, Any], role: list[str] | None) -> None:
    settings = load_settings(**given)
    if sys.stderr.isatty() and is_loopback(settings.host) and "AVB_LOG_FORMAT" not in os.environ:
        settings = load_settings(**given, log_format="console")  # the log goes to a terminal
    configure(service=SERVICE, level=settings.log_level_of(SERVICE), format=settings.log_format)
    specs = children(role) if role else all_children(settings)
    findings = asyncio.run(examine(settings, specs, is_whole=not role))
    refuse(findings)
    for finding in findings:
        if finding.state == "warning":
            _log.warning("a setting should be changed", what=finding.what, reason=finding.sentence)
    settings = _decided(settings, {each.name for spec in specs for each in spec.roles})
    from agentvoicebox.supervisor import run  # late: what is wrong is said before its clients are loaded

    serving = run.serve(settings, on_status=_shown(settings, role or ROLES), children=specs, is_whole=not role)
    if status := asyncio.run(serving):
        raise typer.Exit(status)


def _decided(settings: Settings, roles: Collection[str]) -> Settings:
    """The settings with what they leave to the machine, and one log line with the reasons."""

    def show() -> None:
        if not is_log_only():
            console.print("  measuring the speech engines, once …")

    decision = decide_engines(settings, roles, on_measuring=show)
    if decision.fault:
        _log.warning("the speech engines were not measured; the usual values hold", reason=decision.fault)
    if decision.choice.reasons:
        _log.info("this machine decides", processor=str(this_processor()), **decision.choice.reasons)
    return decision.choice.settings


def _shown(settings: Settings, roles: Collection[str]) -> "Callable[[Status], None]":
    began_s: dict[str, float] = {"system": time.monotonic()}

    def show(status: "Status") -> None:
        if settings.log_format == "json":
            _log.info("the state of a part of the server changed", part=status.name, state=status.state)
        if is_log_only():
            return
        now_s = time.monotonic()
        since_s = now_s - began_s.setdefault(status.name, now_s)
        if status.name == "system":
            console.print(f"{EVERYTHING_READY} {since_s:.1f} s\n")
            if "gateway" in roles:
                _show_gateway(settings)
            if "webhook" in roles and settings.webhook_port:  # a port that the system chose is in the log
                _show_webhook_server(settings)
            console.print("\nCtrl-C stops the server.")
            return
        if status.state == "starting":
            began_s[status.name] = now_s
        took = f" after {since_s:.1f} s" if status.state == "ready" else ""
        colour = COLOURS.get(status.state, "default")
        console.print(f"  {status.name:<11}[{colour}]{status.state}[/]{took}")

    return show


def _show_gateway(settings: Settings) -> None:
    """Print the gateway's address and the required keys."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    root = f"{'https' if settings.tls_cert else 'http'}://{host}:{settings.port}"
    url = f"{root}/v1"
    if settings.console:
        console.print(f"Talk to it in a browser at [bold]{root}/[/]", soft_wrap=True)
    console.print(f"Realtime API at [bold]{url}[/]", soft_wrap=True)
    internal = f"http://{settings.internal_host}:{settings.gateway_internal_port}"
    console.print(f"REST API reference, readiness and metrics at {internal}/docs, /ready, /metrics", soft_wrap=True)
    if settings.keys:
        console.print(f"Callers need one of the {len(settings.keys)} keys of AVB_API_KEYS.")
    else:
        console.print("No keys are configured: only this machine can call; any key is accepted.")
    console.print("Try it from another terminal:\n")
    address = "" if url == "http://127.0.0.1:8000/v1" else f" --url {url}"
    address += f" --ca {settings.tls_cert}" if settings.tls_cert else ""
    demo = next((found for kit in kits_of(settings) if (found := kit.demo()) is not None), None)
    agent, lines = (demo.agent, demo.opening) if demo else (Agents.load(settings).default.name, ("Hello?",))
    said = " ".join(f'--say "{line}"' for line in lines)
    console.print(f"  agentvoicebox call{address} --model {agent} {said}", soft_wrap=True)
    console.print(f'  AsyncOpenAI(base_url="{url}", api_key="local").realtime.connect(model="{agent}")', soft_wrap=True)


def _show_webhook_server(settings: Settings) -> None:
    host = f"[{settings.webhook_host}]" if ":" in settings.webhook_host else settings.webhook_host
    console.print(
        f"\nWebhook server for Vapi at [bold]http://{host}:{settings.webhook_port}/vapi/webhook[/], "
        f"health and metrics on port {settings.internal_port} (docs/webhooks.md)",
        soft_wrap=True,
    )
