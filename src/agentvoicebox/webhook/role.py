"""The webhook as a role: builds what its doors share, opens both ports, and lets callers who wait have their answer.

The one file here that reads Settings (with `look_up`, which chooses the source by them).
"""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.interactions.recording import Recording
from agentvoicebox.limits.memory import SlidingWindow
from agentvoicebox.policy.decisions import Decisions
from agentvoicebox.policy.tool_calls import deciding
from agentvoicebox.settings import Settings
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.tools.registry import Registry
from agentvoicebox.webhook.app import Hotline, create_app
from agentvoicebox.webhook.dispatch import Dispatch
from agentvoicebox.webhook.guard import Credentials, Guard
from agentvoicebox.webhook.internal import create_internal_app
from agentvoicebox.webhook.metrics import HotlineMetrics
from agentvoicebox.webhook.server import serving
from agentvoicebox.webhook.signatures import HmacScheme, Seen
from agentvoicebox.webhook.vapi import KNOWN, Vapi
from agentvoicebox_delivery.parcels import tool_schema
from agentvoicebox_delivery.sources.look_up import LookUp, look_up
from agentvoicebox_delivery.tool import delivery_status

DRAIN_S = 8.0  # below the ten seconds after which the supervisor ends a process
NOTICES_FOR_A_REQUEST = 20  # a call sends about so many messages that want no answer for each that wants one

log = get_logger(__name__)


class Ports(msgspec.Struct, frozen=True):
    """The TCP ports that were opened."""

    public: int
    internal: int


async def serve_webhook(settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event) -> None:
    """Run the hotline until `stop` is set, then answer who is waiting, at most 8 s, and return.

    Args:
        settings: `postgres_url` must be set unless the parcels are Sanity's; an embedded server has filled it in.
        announce_ready: called once both ports are open.
        stop: set to drain and return.

    Raises:
        SettingsError: the settings can't be meant.
        InfrastructureError: an address can't be listened on.
    """
    recording = Recording(
        Path(settings.data_dir) / "interactions", keep_days=settings.record_days, keeps_words=settings.record_words
    )
    recording.start()
    try:
        async with hotline(settings, stop, recording=recording) as ports:
            log.info(
                "hotline open", public_port=ports.public, internal_port=ports.internal, shipments=settings.shipments
            )
            announce_ready()
            await stop.wait()
    finally:
        await asyncio.to_thread(recording.close)


@contextlib.asynccontextmanager
async def hotline(
    settings: Settings, leaving: asyncio.Event, *, clock: Clock | None = None, recording: Recording | None = None
) -> AsyncIterator[Ports]:
    """Both ports, for the length of the block. `leaving`, when set, says so at `/readyz`; None records nothing."""
    metrics = HotlineMetrics(KNOWN)
    async with look_up(settings, metrics) as source, deciding(settings) as decisions:
        checking = asyncio.create_task(source.keep_checking(leaving), name="health of the source")
        shared, dispatch = build(settings, source, metrics, clock=clock, recording=recording, decisions=decisions)
        internal = create_internal_app(source, metrics, leaving)
        try:
            async with (
                serving(
                    internal,
                    host=settings.internal_host,
                    port=settings.internal_port,
                    drain_s=1.0,
                    setting="AVB_INTERNAL_PORT",
                ) as internal_port,
                serving(
                    create_app(shared),
                    host=settings.webhook_host,
                    port=settings.webhook_port,
                    drain_s=DRAIN_S,
                    setting="AVB_WEBHOOK_PORT",
                ) as port,
            ):
                yield Ports(port, internal_port)
        finally:
            checking.cancel()
            await asyncio.gather(checking, return_exceptions=True)
            await dispatch.close()


def build(
    settings: Settings,
    source: LookUp,
    metrics: HotlineMetrics,
    *,
    clock: Clock | None = None,
    recording: Recording | None = None,
    decisions: Decisions | None = None,
) -> tuple[Hotline, Dispatch]:
    """What the doors share, by the settings."""
    dispatch = Dispatch(
        Registry([delivery_status(source.find)]),
        metrics,
        aliases=dict.fromkeys(settings.tool_names, tool_schema.NAME),
        tenant_id=settings.webhook_tenant,
        decisions=decisions,
        clock=clock,
    )
    credentials = credentials_of(settings)
    if credentials.is_none:
        log.warning("no credential is configured: the hotline answers this machine alone", host=settings.webhook_host)
    seen = Seen()
    with_keys = msgspec.structs.replace(
        credentials, tokens=(*credentials.tokens, *settings.keys), retell_key=settings.retell_api_key
    )
    limit = settings.webhook_source_limit
    shared = Hotline(
        vapi=Vapi(dispatch, assistant_id=settings.assistant_id, is_strict=settings.strict_422),
        dispatch=dispatch,
        look_up=source,
        metrics=metrics,
        vapi_guard=Guard(credentials, seen, clock),
        track_guard=Guard(with_keys, seen, clock),
        limit=SlidingWindow(limit, clock=clock),
        notice_limit=SlidingWindow(limit * NOTICES_FOR_A_REQUEST, clock=clock),
        sanity_secret=settings.sanity_webhook_secret,
        trusted_proxy_header=settings.trusted_proxy_header,
        clock=clock or SystemClock(),
        recording=recording,
    )
    return shared, dispatch


def credentials_of(settings: Settings) -> Credentials:
    """What Vapi's door accepts."""
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
