"""The gateway as a role: builds what its calls share, opens the port, and goes down without cutting anybody off."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from agentvoicebox.agents import Agents
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.broker.store_health import StoreHealthMonitor
from agentvoicebox.clock import SystemClock
from agentvoicebox.errors import InfrastructureError
from agentvoicebox.gateway.app import create_app
from agentvoicebox.gateway.house import House
from agentvoicebox.gateway.quota import Figures
from agentvoicebox.gateway.reception import Reception
from agentvoicebox.gateway.vad_batch import VadBatcher
from agentvoicebox.gateway.watch import Watch
from agentvoicebox.interactions.recording import Recording
from agentvoicebox.limits.allowance import Allowance
from agentvoicebox.policy.decisions import open_policy
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.ports.providers import EndOfTurn, Vad
from agentvoicebox.providers.catalogue import ModelCatalogue
from agentvoicebox.providers.registry import voice_list
from agentvoicebox.sessions.directory import SessionDirectory
from agentvoicebox.sessions.log import SessionLog
from agentvoicebox.settings import Settings
from agentvoicebox.storage.history import History
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.rules import RuleBook, default_rules
from agentvoicebox.storage.tail import Tail
from agentvoicebox.storage.usage import UsageReader
from agentvoicebox.storage.vault import Vault
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.telemetry.metrics import Metrics

WS_MAX_BYTES = 24 * 1024 * 1024  # an append may hold 15 MiB of audio, which is 20 MiB of base64
PING_S = 20.0  # OpenAI's interval; clients give up after about as long
DRAIN_S = 18.0  # for answers to be finished; with farewells and clean-up below the thirty seconds that P6 allows

log = get_logger(__name__)


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling (the supervisor decides when a role stops), and with a word when it is open."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_open = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        await super().startup(sockets)
        self.is_open.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whoever runs the role."""
        yield


async def serve_gateway(settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event) -> None:
    """Run a gateway until `stop` is set.

    Args:
        settings: `redis_url` must be set; embedded servers have filled it in.
        announce_ready: called once the port is open and the models are loaded.
        stop: set to drain and return.

    Raises:
        ProviderUnavailable: the voice activity model is missing.
        SettingsError: an agent file or the policy is at fault.
        InfrastructureError: the address can't be listened on.
    """
    catalogue = ModelCatalogue(
        models_dir=Path(settings.models_dir) if settings.models_dir else None,
        cache_dir=Path(settings.data_dir) / "models",
    )
    agents = Agents(folder=settings.agents_dir, default=settings.default_agent)
    if not settings.keys:
        log.info("no keys are configured: every caller on this machine is let in", host=settings.host)
    batcher = VadBatcher(await asyncio.to_thread(_voice_activity))
    broker = RedisBroker(settings.redis_url)
    directory = SessionDirectory(broker.connection, broker.subscriber)
    postgres = await Postgres.open(settings.postgres_url)  # may be away: configured keys and open calls don't need it
    rules = RuleBook(postgres, default_rules(settings), can_encrypt=bool(settings.history_key_list))
    metrics = Metrics()
    reception = Reception(
        broker.connection,
        postgres,
        metrics=metrics,
        keys=settings.keys,
        figures=_figures(settings),
        gateways=settings.gateways,
        policy=open_policy(folder=settings.policy_dir, opa_url=settings.opa_url, opa_token=settings.opa_token),
    )
    recording = Recording(
        Path(settings.data_dir) / "interactions", keep_days=settings.record_days, keeps_words=settings.record_words
    )
    recording.start()
    house = House(
        broker=broker,
        directory=directory,
        past=SessionLog(broker.connection),
        batcher=batcher,
        agents=agents,
        reception=reception,
        clock=SystemClock(),
        metrics=metrics,
        max_calls=settings.max_calls,
        resume_s=settings.resume_s,
        voices=voice_list(settings.tts_engines, catalogue),
        recording=recording,
        history=History(postgres, Vault(settings.history_key_list), Tail(broker.connection, rules)),
        usage=UsageReader(postgres),
        postgres=postgres,
        rules=rules,
        end_of_turn=await asyncio.to_thread(_end_of_turn, settings.models_dir),
        needed=(JobKind.STT, JobKind.LLM, JobKind.TTS),
    )

    def announce(port: int) -> None:
        log.info("gateway is open", host=settings.host, port=port)
        announce_ready()

    resting = asyncio.Event()
    keeping = [
        asyncio.create_task(directory.run(resting), name="heartbeats"),
        asyncio.create_task(reception.run(resting), name="audit trail"),
        asyncio.create_task(Watch(house, StoreHealthMonitor(broker.connection)).run(resting), name="watch"),
    ]
    try:
        await serve(house, host=settings.host, port=settings.port, announce_ready=announce, stop=stop)
    finally:
        resting.set()  # only now: calls that are being drained are still alive
        await asyncio.gather(*keeping, return_exceptions=True)
        await asyncio.to_thread(recording.close)
        await batcher.close()
        await reception.close()
        await postgres.close()
        await broker.close()


async def serve(
    house: House, *, host: str, port: int, announce_ready: Callable[[int], None], stop: asyncio.Event
) -> None:
    """Open the port over a house, serve until `stop`, drain. `announce_ready` is given the port that was opened.

    Raises:
        InfrastructureError: the address can't be listened on.
    """
    config = uvicorn.Config(
        create_app(house),
        host=host,
        port=port,
        ws="websockets-sansio",
        ws_max_size=WS_MAX_BYTES,
        ws_ping_interval=PING_S,
        ws_ping_timeout=PING_S,
        ws_per_message_deflate=False,  # base64 of audio does not shrink worth the time
        log_config=None,
        access_log=False,  # queries may carry keys
        lifespan="off",
        timeout_graceful_shutdown=2,
    )
    server = _Server(config)
    # uvicorn leaves the process by SystemExit when it can't listen; here that becomes an error like any other
    sockets = [_listen(config)]
    serving = asyncio.create_task(server.serve(sockets=sockets), name="http server")
    opening = asyncio.create_task(server.is_open.wait(), name="http server opens")
    stopping = asyncio.create_task(stop.wait(), name="gateway stop")
    try:
        await asyncio.wait([serving, opening, stopping], return_when=asyncio.FIRST_COMPLETED)
        if server.is_open.is_set():
            announce_ready(sockets[0].getsockname()[1])
            await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        for listener in getattr(server, "servers", ()):  # absent when stopped before it was open
            listener.close()  # first of all: a balancer then goes elsewhere, without waiting for its next check of /ready
        await house.leave(DRAIN_S)
    finally:
        opening.cancel()
        stopping.cancel()
        await asyncio.gather(opening, stopping, return_exceptions=True)
        server.should_exit = True
        await serving
        for each in sockets:
            each.close()


def _figures(settings: Settings) -> Figures:
    """The deployment's limits; 0 in a setting means none."""
    return Figures(
        everybody=Allowance(settings.limit_all_requests or None, settings.limit_all_tokens or None),
        tenant=Allowance(settings.limit_tenant_requests or None, settings.limit_tenant_tokens or None),
        key=Allowance(settings.limit_key_requests or None, settings.limit_key_tokens or None),
        tenant_sessions=settings.limit_tenant_sessions or None,
        key_sessions=settings.limit_key_sessions or None,
    )


def _listen(config: uvicorn.Config) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((config.host, config.port))
    except OSError as error:
        listener.close()
        raise InfrastructureError(
            f"can't listen on {config.host}:{config.port}: {error.strerror}; is another server running?",
            code="address_unavailable",
        ) from error
    return listener


def _voice_activity() -> Vad:
    """The model is loaded before the port opens; onnxruntime is imported only here, in the one process that needs it."""
    from agentvoicebox.providers.vad.silero import SileroVad

    return SileroVad()


def _end_of_turn(models_dir: str) -> EndOfTurn | None:
    """The model for semantic_vad if its file lies in the models folder; words and silence decide without it."""
    from agentvoicebox.providers.vad.smart_turn import MODEL_FILE, SmartTurn

    path = Path(models_dir) / MODEL_FILE
    if not models_dir or not path.is_file():
        return None
    log.info("end-of-turn model found", file=MODEL_FILE)
    return SmartTurn(path)
