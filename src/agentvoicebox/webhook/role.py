"""The webhook role: builds the shared state of the routes, opens both ports, and answers waiting requests on shutdown.

The only file of this package that reads Settings.
"""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec
from prometheus_client import CollectorRegistry

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.http_server.internal_port import internal_port
from agentvoicebox.http_server.serving import connection_table, serving
from agentvoicebox.interactions.recorder import InteractionRecorder
from agentvoicebox.kits.recording import interaction_recorder
from agentvoicebox.kits.registry import Kits, kits_of
from agentvoicebox.kits.services import KitContext, KitServices
from agentvoicebox.limits.memory import SlidingWindow
from agentvoicebox.limits.wrong_credentials import WrongCredentials
from agentvoicebox.policy.decisions import Decisions
from agentvoicebox.policy.tool_calls import deciding
from agentvoicebox.settings import Settings
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.telemetry.process_report import ProcessReport
from agentvoicebox.tools.registry import Registry
from agentvoicebox.webhook.app import TOOLS_LABEL, VAPI_LABEL, WebhookServer, create_app
from agentvoicebox.webhook.dispatch import CODES, Dispatch
from agentvoicebox.webhook.guard import Credentials, Guard
from agentvoicebox.webhook.internal import create_internal_app
from agentvoicebox.webhook.metrics import WebhookMetrics
from agentvoicebox.webhook.signatures import HmacScheme, SeenSignatures
from agentvoicebox.webhook.vapi import KNOWN, Vapi

DRAIN_S = 8.0  # below the ten seconds after which the supervisor kills a process
NOTICES_FOR_A_REQUEST = 20  # a call sends about 20 notices for each message that expects an answer

log = get_logger(__name__)


class Ports(msgspec.Struct, frozen=True):
    """The TCP ports that were opened."""

    public: int
    internal: int


async def serve_webhook(
    settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event, report: ProcessReport
) -> None:
    """Run the webhook server until `stop` is set, then answer waiting requests for up to 8 s, and return.

    Args:
        settings: of the deployment, with the kits' fields.
        announce_ready: called when both ports are open.
        stop: set to drain and return.
        report: of the process.

    Raises:
        SettingsError: a kit's settings are invalid.
        AddressUnavailable: an address can't be listened on.
    """
    async with webhook_server(settings, stop, records=True, report=report) as ports:
        kits = ", ".join(settings.kit_names)
        log.info("webhook server open", public_port=ports.public, internal_port=ports.internal, kits=kits)
        announce_ready()
        await stop.wait()


@contextlib.asynccontextmanager
async def webhook_server(
    settings: Settings,
    leaving: asyncio.Event,
    *,
    clock: Clock | None = None,
    records: bool = False,
    report: ProcessReport | None = None,
) -> AsyncIterator[Ports]:
    """Open both ports for the duration of the block.

    Args:
        settings: of the deployment.
        leaving: when set, `/readyz` reports `leaving`.
        clock: for limits, timeouts and records.
        records: whether interactions are recorded.
        report: of the process; None: it is listed nowhere.
    """
    kits = kits_of(settings)
    report = report or ProcessReport()
    async with contextlib.AsyncExitStack() as stack:
        context = KitContext(report.registry, clock or SystemClock(), report.breakers)
        served = [await stack.enter_async_context(kit.serve(settings, context)) for kit in kits]
        metrics = metrics_of(served, context.metrics)
        decisions = await stack.enter_async_context(deciding(settings))
        report.breakers.watch(decisions.breakers)
        recorder = await stack.enter_async_context(_recording(settings, kits, served)) if records else None
        dependencies = [each for kit in served for each in kit.dependencies]
        checking = [
            asyncio.create_task(each.keep_checking(leaving), name=f"check {each.label}") for each in dependencies
        ]
        stack.push_async_callback(_cancel, checking)
        server = build(settings, served, metrics, clock=clock, recorder=recorder, decisions=decisions)
        stack.push_async_callback(server.dispatch.close)
        routers = [each.internal() for each in served if each.internal is not None]
        internal = create_internal_app(dependencies, routers, metrics, leaving)
        private_port = await stack.enter_async_context(
            internal_port(internal, settings, "internal_port", process=report.name)
        )
        port = await stack.enter_async_context(
            serving(
                create_app(server),
                host=settings.webhook_host,
                port=settings.webhook_port,
                drain_s=DRAIN_S,
                setting="AVB_WEBHOOK_PORT",
                connections=connection_table(settings, metrics.tcp),
            )
        )
        yield Ports(port, private_port)


def metrics_of(served: Sequence[KitServices], registry: CollectorRegistry) -> WebhookMetrics:
    """The metrics of a server for these kits, registered in `registry`."""
    routes = {route.label for each in served for route in each.tool_routes}
    routes |= {route.label for each in served for route in each.notice_routes}
    codes = CODES.union(*(tool.definition.codes for each in served for tool in each.tools))
    return WebhookMetrics(registry, messages=KNOWN, routes=routes | {VAPI_LABEL, TOOLS_LABEL}, codes=codes)


def build(
    settings: Settings,
    served: Sequence[KitServices],
    metrics: WebhookMetrics,
    *,
    clock: Clock | None = None,
    recorder: InteractionRecorder | None = None,
    decisions: Decisions | None = None,
) -> WebhookServer:
    """Build the shared state of the routes from the settings and the kits."""
    dispatch = Dispatch(
        Registry([tool for each in served for tool in each.tools]),
        metrics,
        aliases=_aliases(served),
        tenant_id=settings.webhook_tenant,
        decisions=decisions,
        clock=clock,
    )
    credentials = credentials_of(settings)
    if credentials.is_none:
        log.warning(
            "no credentials are configured: only requests from this machine are accepted", host=settings.webhook_host
        )
    seen = SeenSignatures()
    with_keys = msgspec.structs.replace(
        credentials, tokens=(*credentials.tokens, *settings.keys), retell_key=settings.retell_api_key
    )
    limit = settings.webhook_source_limit
    return WebhookServer(
        vapi=Vapi(dispatch, assistant_id=settings.assistant_id, is_strict=settings.strict_422),
        dispatch=dispatch,
        metrics=metrics,
        vapi_guard=Guard(credentials, seen, clock),
        rest_guard=Guard(with_keys, seen, clock),
        limit=SlidingWindow(limit, clock=clock),
        notice_limit=SlidingWindow(limit * NOTICES_FOR_A_REQUEST, clock=clock),
        wrong_credentials=WrongCredentials(settings.limit_wrong_credentials, clock=clock),
        tool_routes=tuple(route for each in served for route in each.tool_routes),
        notice_routes=tuple(route for each in served for route in each.notice_routes),
        trusted_proxy_header=settings.trusted_proxy_header,
        clock=clock or SystemClock(),
        recorder=recorder,
    )


@contextlib.asynccontextmanager
async def _recording(
    settings: Settings, kits: Kits, served: Sequence[KitServices]
) -> AsyncIterator[InteractionRecorder]:
    recorder = interaction_recorder(settings, kits, aliases=_aliases(served))
    recorder.start()
    try:
        yield recorder
    finally:
        await asyncio.to_thread(recorder.close)


def _aliases(served: Sequence[KitServices]) -> dict[str, str]:
    return {alias: name for each in served for alias, name in each.aliases.items()}


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def credentials_of(settings: Settings) -> Credentials:
    """The credentials for Vapi's route."""
    scheme = None
    if settings.vapi_hmac_secret:
        secret = settings.vapi_hmac_secret.encode()
        scheme = HmacScheme(
            base64.b64decode(secret) if settings.vapi_hmac_secret_is_base64 else secret,
            header=settings.vapi_hmac_header,
            prefix=settings.vapi_hmac_prefix,
            encoding=settings.vapi_hmac_encoding,
            algorithm=settings.vapi_hmac_algorithm,
            payload_format=settings.vapi_hmac_payload_format,
            timestamp_header=settings.vapi_hmac_timestamp_header,
        )
    return Credentials(settings.vapi_secret_list, settings.vapi_token_list, scheme)
