"""`agentvoicebox serve`: the whole server on this machine, or single roles of a server on several machines.

Prints each step of the start, then the addresses and the required keys, to standard output. The log goes to standard error.
`supervisor.run` runs the processes.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Collection
from typing import Annotated, Any

import typer

from agentvoicebox.agents import Agents
from agentvoicebox.cli.console import console
from agentvoicebox.http_server.tls import server_context
from agentvoicebox.kits.registry import kits_of, load_settings
from agentvoicebox.loopback import is_loopback
from agentvoicebox.settings import Settings
from agentvoicebox.supervisor import run
from agentvoicebox.supervisor.roles import ROLES, check_needs, children
from agentvoicebox.telemetry.logs import configure

EVERYTHING_READY = "ready after"  # start of the line after the last step
COLOURS = {"ready": "green", "died": "red", "stopping": "dim", "stopped": "dim"}


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. AVB_HOST; 127.0.0.1 by default.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port. AVB_PORT; 8000 by default.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Folder of the embedded servers. AVB_DATA_DIR; var.")] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(help="Run only this role; repeatable. gateway, stt, llm, tts, tool, webhook, recorder, janitor."),
    ] = None,
) -> None:
    """Start the whole server on this machine; Ctrl-C stops it.

    Valkey and PostgreSQL are embedded unless AVB_REDIS_URL and AVB_POSTGRES_URL are set. Gateway and workers are separate
    processes.

    On 127.0.0.1 without AVB_API_KEYS any bearer key is accepted. Any other address needs keys:

      AVB_API_KEYS=a-long-secret agentvoicebox serve --host 0.0.0.0

    Another language model, from any OpenAI-compatible server:

      AVB_LLM=ollama/qwen3 agentvoicebox serve

    Over TLS, with a certificate of your own (`agentvoicebox tls` makes one):

      AVB_TLS_CERT=cert.pem AVB_TLS_KEY=key.pem agentvoicebox serve

    One of several machines, with shared servers (docs/operations.md):

      AVB_REDIS_URL=redis://store:6379/0 agentvoicebox serve --role gateway --host 0.0.0.0
    """
    given: dict[str, Any] = {"host": host, "port": port, "data_dir": data_dir}
    given = {name: value for name, value in given.items() if value is not None}
    settings = load_settings(**given)
    if sys.stderr.isatty() and is_loopback(settings.host) and "AVB_LOG_FORMAT" not in os.environ:
        settings = load_settings(**given, log_format="console")  # the log goes to a terminal
    configure(service="supervisor", level=settings.log_level, format=settings.log_format)
    if settings.tls_cert:
        server_context(settings.tls_cert, settings.tls_key)  # said here, before anything has started
    if role:
        specs = children(role)
        check_needs(specs, settings)
        serving = run.serve(settings, on_status=_shown(settings, role), children=specs, is_whole=False)
    else:
        serving = run.serve(settings, on_status=_shown(settings, ROLES))
    if status := asyncio.run(serving):
        raise typer.Exit(status)


def _shown(settings: Settings, roles: Collection[str]) -> Callable[[run.Status], None]:
    began_s: dict[str, float] = {"system": time.monotonic()}

    def show(status: run.Status) -> None:
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
    url = f"{'https' if settings.tls_cert else 'http'}://{host}:{settings.port}/v1"
    console.print(f"Realtime API at [bold]{url}[/]", soft_wrap=True)
    internal = f"http://{settings.internal_host}:{settings.gateway_internal_port}"
    console.print(f"Its REST API, readiness and metrics: {internal}/docs, /ready, /metrics", soft_wrap=True)
    if settings.keys:
        console.print(f"Callers need one of the {len(settings.keys)} keys of AVB_API_KEYS.")
    else:
        console.print("No keys are configured: only this machine may call, with any key.")
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
        f"health and metrics on port {settings.internal_port} (docs/operations.md)",
        soft_wrap=True,
    )
