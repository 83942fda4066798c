"""The telephony role: opens the port, and lets running calls end on shutdown.

The only file of this package that reads Settings.
"""

import asyncio
from collections.abc import Callable

from agentvoicebox.clock import SystemClock
from agentvoicebox.errors import SettingsError
from agentvoicebox.http_server.serving import connection_table, serving
from agentvoicebox.limits.wrong_credentials import WrongCredentials
from agentvoicebox.settings import Settings
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.telemetry.process_report import ProcessReport
from agentvoicebox.telephony.app import VOICE_PATH, TelephonyAccess, TelephonyServer
from agentvoicebox.telephony.call_plan import CallPlan
from agentvoicebox.telephony.diallers import AsteriskDialler, AsteriskInterface, Dialler, TwilioAccount, TwilioDialler
from agentvoicebox.telephony.metrics import TelephonyMetrics
from agentvoicebox.telephony.outgoing_calls import OutgoingCalls

DRAIN_S = 8.0  # below the ten seconds after which the supervisor kills a process

log = get_logger(__name__)


async def serve_telephony(
    settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event, report: ProcessReport
) -> None:
    """The role: takes calls until `stop`.

    Raises:
        SettingsError: no provider may connect, or none can make the calls that may be ordered.
        AddressUnavailable: the address can't be listened on.
    """
    if not settings.telephony_providers:
        raise SettingsError("AVB_TELEPHONY is empty: name the providers that may connect, such as AVB_TELEPHONY=twilio")
    metrics = TelephonyMetrics(report.registry)
    outgoing = outgoing_of(settings)
    server = TelephonyServer(
        access_of(settings),
        plan_of(settings),
        metrics,
        wrong_credentials=WrongCredentials(settings.limit_wrong_credentials),
        clock=SystemClock(),
        leaving=stop,
        outgoing=outgoing,
    )
    async with serving(
        server.app(),
        host=settings.telephony_host,
        port=settings.telephony_port,
        drain_s=DRAIN_S,
        setting="AVB_TELEPHONY_PORT",
        connections=connection_table(settings, metrics.tcp),
        has_websockets=True,
    ) as port:
        log.info("telephony port is open", providers=list(settings.telephony_providers), port=port)
        announce_ready()
        await stop.wait()
    if outgoing is not None:
        await outgoing.close()


def outgoing_of(settings: Settings) -> OutgoingCalls | None:
    """Who makes calls; None: none are made. Raises SettingsError if numbers may be called and no provider can."""
    if not settings.outgoing_prefix_list:
        return None
    diallers = {name: made for name in settings.telephony_providers if (made := _dialler(name, settings)) is not None}
    if not diallers:
        raise SettingsError(
            "AVB_OUTGOING_PREFIXES allows calls, but no provider of AVB_TELEPHONY can make them: set AVB_TWILIO_ACCOUNT_SID and "
            "AVB_TWILIO_FROM, or AVB_ASTERISK_ARI"
        )
    return OutgoingCalls(diallers, settings.outgoing_prefix_list, settings.outgoing_a_minute, SystemClock())


def _dialler(provider: str, settings: Settings) -> Dialler | None:
    if provider == "twilio" and settings.twilio_account_sid and settings.twilio_from:
        return TwilioDialler(
            TwilioAccount(
                settings.twilio_account_sid,
                settings.twilio_auth_token,
                settings.twilio_from,
                settings.telephony_url + VOICE_PATH,
                settings.twilio_api,
            )
        )
    if provider == "asterisk" and settings.asterisk_ari:
        extension, _, context = settings.asterisk_answer.partition("@")
        return AsteriskDialler(
            AsteriskInterface(
                settings.asterisk_ari,
                settings.asterisk_ari_user,
                settings.asterisk_ari_password,
                settings.asterisk_dial,
                extension,
                context,
            )
        )
    return None


def access_of(settings: Settings) -> TelephonyAccess:
    """Who may connect."""
    return TelephonyAccess(
        settings.telephony_providers,
        url=settings.telephony_url,
        auth_token=settings.twilio_auth_token,
        token=settings.telephony_token,
        transfer_to=settings.telephony_transfer_to,
        most_calls=settings.telephony_max_calls,
        trusted_proxy_header=settings.trusted_proxy_header,
    )


def plan_of(settings: Settings) -> CallPlan:
    """How calls are answered."""
    scheme = "https" if settings.tls_cert else "http"
    here = f"{scheme}://127.0.0.1:{settings.port}/v1"
    keys = settings.keys
    return CallPlan(
        settings.telephony_gateway_list or (here,),
        api_key=settings.telephony_key or (keys[0] if keys else ""),
        agent=settings.telephony_agent,
        greets=settings.telephony_greets,
        greeting_is_whole=settings.telephony_greeting_is_whole,
        has_transfer=bool(settings.telephony_transfer_to),
        ca_file=settings.tls_cert if not settings.telephony_gateways else "",
    )
