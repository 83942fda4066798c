"""The gateway as a role: builds what its calls share, opens the port, and shuts down without cutting calls off."""

import asyncio
import os
import secrets
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry

from agentvoicebox import __version__
from agentvoicebox.agents import Agents
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.broker.store_health import StoreHealthMonitor
from agentvoicebox.clock import SystemClock
from agentvoicebox.errors import NotInstalled
from agentvoicebox.gateway.admission.admission_control import AdmissionConfig, AdmissionControl
from agentvoicebox.gateway.admission.health_monitor import HealthMonitor
from agentvoicebox.gateway.admission.limit_config import LimitConfig
from agentvoicebox.gateway.admission.request_slots import RequestSlots
from agentvoicebox.gateway.admission.service_health import ServiceHealth
from agentvoicebox.gateway.admission.session_registry import SessionRegistry
from agentvoicebox.gateway.admission.session_support import SessionSupport
from agentvoicebox.gateway.admission.tenant_pace import TenantPace
from agentvoicebox.gateway.audio.vad_batch import VadBatcher
from agentvoicebox.gateway.call.verdict_records import VerdictRecords
from agentvoicebox.gateway.http.app import create_app, protect
from agentvoicebox.gateway.http.internal import create_internal_app
from agentvoicebox.gateway.media.media_roles import MediaRoles
from agentvoicebox.gateway.pace import ServingPace
from agentvoicebox.gateway.state import GatewayState, RecordStores
from agentvoicebox.http_server.internal_port import internal_port
from agentvoicebox.http_server.listening import listening_socket
from agentvoicebox.http_server.server import HttpServer, ServerConfig
from agentvoicebox.http_server.serving import connection_table
from agentvoicebox.http_server.tls import server_context
from agentvoicebox.http_server.turn_queue import TurnQueue
from agentvoicebox.interactions.recorder import InteractionRecorder
from agentvoicebox.kits.recording import interaction_recorder
from agentvoicebox.kits.registry import kits_of
from agentvoicebox.limits.allowance import Allowance
from agentvoicebox.policy.decisions import open_policy
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.ports.providers import EndOfTurn, Vad
from agentvoicebox.providers.catalogue import ModelCatalogue
from agentvoicebox.providers.registry import profile_of, voice_list, voice_names
from agentvoicebox.providers.stt.languages import stt_skills
from agentvoicebox.resilience.breaker import BreakerState
from agentvoicebox.sessions.directory import SessionDirectory
from agentvoicebox.sessions.gateways import GatewayDirectory, GatewayLine
from agentvoicebox.sessions.log import SessionLog
from agentvoicebox.settings import Settings
from agentvoicebox.storage.call_audio import CallAudioReader
from agentvoicebox.storage.history import History
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.rules import RuleBook, default_rules
from agentvoicebox.storage.tail import Tail
from agentvoicebox.storage.usage import UsageReader
from agentvoicebox.storage.vault import Vault
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.telemetry.metrics import Metrics
from agentvoicebox.telemetry.process_report import ProcessReport
from agentvoicebox.telemetry.trace_exporter import TraceExporter

DRAIN_TIMEOUT_S = 18.0  # for answers to be finished; with closing and clean-up below the thirty seconds that P6 allows

log = get_logger(__name__)


async def serve_gateway(
    settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event, report: ProcessReport
) -> None:
    """Run a gateway until `stop` is set.

    Args:
        settings: `redis_url` must be set; embedded servers have set it.
        announce_ready: called once the port is open and the models are loaded.
        stop: set to drain and return.
        report: of the process.

    Raises:
        ProviderUnavailable: the voice activity model is missing.
        SettingsError: an agent file, the policy or the certificate is invalid.
        AddressUnavailable: the address can't be listened on.
    """
    if not settings.keys:
        log.info("no keys are configured: every caller on this machine is accepted", host=settings.host)

    def announce(port: int) -> None:
        log.info("gateway is open", host=settings.host, port=port, has_tls=tls is not None)
        announce_ready()

    tls = server_context(settings.tls_cert, settings.tls_key) if settings.tls_cert else None
    async with _stores(settings) as (broker, postgres):
        batcher = VadBatcher(await asyncio.to_thread(_voice_activity), skips_quiet=True)
        verdicts = VerdictRecords(broker, SystemClock())
        recording = interaction_recorder(settings, kits_of(settings), on_verdict=verdicts.put)
        state = await build_state(
            settings, broker, postgres, batcher=batcher, recording=recording, registry=report.registry
        )
        report.breakers.watch(lambda: _breakers(state))
        recording.start()
        try:
            # The background work ends last: calls that are being drained still need it.
            async with _background(state, broker), _internal_port(state, settings, report.name):
                await serve(state, host=settings.host, port=settings.port, announce_ready=announce, stop=stop, tls=tls)
        finally:
            await asyncio.to_thread(recording.close)
            await verdicts.close()
            await batcher.close()
            await state.admission.close()
            if state.media is not None:
                await state.media.close()
            if state.traces is not None:
                await asyncio.to_thread(state.traces.close)


async def build_state(
    settings: Settings,
    broker: RedisBroker,
    postgres: Postgres,
    *,
    batcher: VadBatcher,
    recording: InteractionRecorder,
    registry: CollectorRegistry | None = None,
) -> GatewayState:
    """What the calls of a gateway share. Raises SettingsError."""
    catalogue = ModelCatalogue.of(settings.models_dir, settings.data_dir)
    agents = Agents.load(settings)
    if agents.unavailable:
        log.info("agents without a language model are not offered", agents=dict(agents.unavailable))
    directory = SessionDirectory(broker.connection, broker.subscriber)
    metrics, health = Metrics(registry), ServiceHealth()
    metrics.on_turn_answered = health.answers.answered
    voices, skills = (
        voice_list(settings.tts_engines, catalogue),
        stt_skills(profile_of(settings.stt_profile, catalogue), catalogue),
    )
    admission = AdmissionControl(
        broker.connection,
        postgres,
        metrics=metrics,
        config=AdmissionConfig(
            settings.keys,
            limit_config(settings),
            settings.gateways,
            wrong_credentials=settings.limit_wrong_credentials,
            trusted_proxy_header=settings.trusted_proxy_header,
        ),
        policy=open_policy(folder=settings.policy_dir, opa_url=settings.opa_url, opa_token=settings.opa_token),
    )
    sessions = SessionRegistry(
        broker, directory, admission.counts, health=health, metrics=metrics, max_calls=settings.most_calls
    )
    gateway_id = f"{socket.gethostname()}:{os.getpid()}-{secrets.token_hex(2)}"

    def describe() -> GatewayLine:
        return GatewayLine(gateway_id, __version__, len(sessions), sessions.max_calls, sessions.is_draining)

    return GatewayState(
        broker=broker,
        directory=directory,
        session_log=SessionLog(broker.connection),
        batcher=batcher,
        agents=agents,
        admission=admission,
        sessions=sessions,
        health=health,
        clock=SystemClock(),
        metrics=metrics,
        voices=voices,
        support=SessionSupport(
            voice_names(settings.tts_engines, voices),
            skills.languages,
            has_spoken_prompts=skills.has_prompts,
            rule_models=tuple(kits_of(settings).language_models()),
            rule_tools=kits_of(settings).client_tools,
        ),
        end_of_turn=await asyncio.to_thread(_end_of_turn, settings.models_dir),
        recording=recording,
        records=_records(settings, broker, postgres),
        needed=(JobKind.STT, JobKind.LLM, JobKind.TTS),
        resume_s=settings.resume_s,
        judges_interruptions=settings.judge_interruptions,
        connections=connection_table(settings, metrics.tcp),
        pace=ServingPace(
            settings.limit_unadmitted_requests,
            settings.limit_call_frames,
            settings.limit_call_events,
            settings.limit_call_speech,
        ),
        tenant_pace=TenantPace(settings.limit_tenant_rate),
        request_slots=RequestSlots(settings.max_audio_requests, is_shared=bool(settings.keys)),
        idle_s=settings.idle_s,
        gateways=GatewayDirectory(broker.connection, describe),
        cors_origins=settings.cors_origin_list,
        has_console=settings.console,
        traces=_traces(settings, metrics, instance=gateway_id),
        media=media_roles(settings),
    )


def media_roles(settings: Settings) -> MediaRoles | None:
    """The roles that carry calls by WebRTC; None where there are none."""
    urls = settings.webrtc_url_list
    return MediaRoles(urls, token=settings.webrtc_token) if urls else None


def _traces(settings: Settings, metrics: Metrics, *, instance: str) -> TraceExporter | None:
    if not settings.traces_url:
        return None
    try:
        return TraceExporter(
            settings.traces_address,
            metrics.traces,
            headers=settings.traces_header_map,
            ratio=settings.traces_ratio,
            instance=instance,
        )
    except ImportError as error:
        raise NotInstalled("traces need a package: type `pip install 'agentvoicebox[traces]'`") from error


async def serve(
    state: GatewayState,
    *,
    host: str,
    port: int,
    announce_ready: Callable[[int], None],
    stop: asyncio.Event,
    tls: ssl.SSLContext | None = None,
) -> None:
    """Open the port, serve until `stop`, drain. `announce_ready` gets the port that was opened; with `tls` it speaks TLS alone.

    Raises:
        AddressUnavailable: the address can't be listened on.
    """
    config = ServerConfig(
        protect(create_app(state), state),
        state.connections,
        drain_s=2,
        has_websockets=True,
        turns=TurnQueue(state.pace.requests_per_s),
        frames_per_s=state.pace.frames_per_s,
        lag=state.lag,
        tls=tls,
    )
    server = HttpServer(config)
    listener = listening_socket(host, port, setting="AVB_PORT")
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="http server")
    opening = asyncio.create_task(server.is_open.wait(), name="http server opens")
    stopping = asyncio.create_task(stop.wait(), name="gateway stop")
    state.lag.start()
    try:
        await asyncio.wait([serving, opening, stopping], return_when=asyncio.FIRST_COMPLETED)
        if server.is_open.is_set():
            announce_ready(listener.getsockname()[1])
            await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        for each in getattr(server, "servers", ()):  # absent when stopped before it was open
            each.close()  # first: a load balancer then goes elsewhere at once, before its next check of /ready
        await asyncio.gather(state.sessions.drain(DRAIN_TIMEOUT_S), state.request_slots.drain(DRAIN_TIMEOUT_S))
    finally:
        opening.cancel()
        stopping.cancel()
        await asyncio.gather(opening, stopping, return_exceptions=True)
        server.should_exit = True
        await serving
        state.lag.stop()
        listener.close()


@asynccontextmanager
async def _internal_port(state: GatewayState, settings: Settings, process: str) -> AsyncIterator[None]:
    app = create_internal_app(state, create_app(state))
    async with internal_port(app, settings, "gateway_internal_port", process=process) as port:
        log.info("internal port of the gateway is open", port=port)
        yield


def _breakers(state: GatewayState) -> dict[str, BreakerState]:
    """Those of `GET /v1/status`, named as labels are."""
    return {name.replace(" ", "_"): each for name, each in state.admission.breakers().items()}


@asynccontextmanager
async def _stores(settings: Settings) -> AsyncIterator[tuple[RedisBroker, Postgres]]:
    """Connections to Valkey and PostgreSQL. PostgreSQL may be away: configured keys and open calls don't need it."""
    broker = RedisBroker(settings.redis_url)
    try:
        postgres = await Postgres.open(settings.postgres_url)
        try:
            yield broker, postgres
        finally:
            await postgres.close()
    finally:
        await broker.close()


@asynccontextmanager
async def _background(state: GatewayState, broker: RedisBroker) -> AsyncIterator[None]:
    """Heartbeats, audit log and health checks."""
    monitor = HealthMonitor(
        state.health,
        StoreHealthMonitor(broker.connection),
        state.sessions.publish_health,
        language_model=state.agents.default.language_model,
        clock=state.clock,
        metrics=state.metrics,
        frames_late_s=state.lateness.take,
    )
    stop = asyncio.Event()
    running = [
        asyncio.create_task(state.directory.run(stop), name="heartbeats"),
        asyncio.create_task(state.admission.run(stop), name="audit trail"),
        asyncio.create_task(monitor.run(stop), name="health monitor"),
    ]
    if state.gateways is not None:
        running.append(asyncio.create_task(state.gateways.run(stop), name="gateway heartbeats"))
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*running, return_exceptions=True)


def _records(settings: Settings, broker: RedisBroker, postgres: Postgres) -> RecordStores:
    rules = RuleBook(postgres, default_rules(settings), can_encrypt=bool(settings.history_key_list))
    vault = Vault(settings.history_key_list)
    history = History(postgres, vault, Tail(broker.connection, rules, kits_of(settings).identifier_mask))
    return RecordStores(postgres, history, UsageReader(postgres), rules, CallAudioReader(postgres, vault), vault)


def limit_config(settings: Settings) -> LimitConfig:
    """The deployment's limits; 0 in a setting means none."""
    return LimitConfig(
        all_tenants=Allowance(settings.limit_all_requests or None, settings.limit_all_tokens or None),
        tenant=Allowance(settings.limit_tenant_requests or None, settings.limit_tenant_tokens or None),
        key=Allowance(settings.limit_key_requests or None, settings.limit_key_tokens or None),
        tenant_sessions=_tenant_sessions(settings),
        key_sessions=settings.limit_key_sessions or None,
    )


def _tenant_sessions(settings: Settings) -> int | None:
    """By default a tenant may use half of the lines, so that there are some for another one. Without keys there is one tenant."""
    if settings.limit_tenant_sessions is not None:
        return settings.limit_tenant_sessions or None
    return max(1, settings.most_calls * settings.gateways // 2) if settings.keys else None


def _voice_activity() -> Vad:
    """Loaded before the port opens. onnxruntime is imported only here, in the one process that needs it."""
    from agentvoicebox.providers.vad.silero import SileroVad

    return SileroVad()


def _end_of_turn(models_dir: str) -> EndOfTurn | None:
    """The model for semantic_vad, if its file is in the models folder; without it words and silence decide."""
    from agentvoicebox.providers.vad.smart_turn import MODEL_FILE, SmartTurn

    path = Path(models_dir) / MODEL_FILE
    if not models_dir or not path.is_file():
        return None
    log.info("end-of-turn model found", file=MODEL_FILE)
    return SmartTurn(path)
