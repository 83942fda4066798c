"""What people say and who they are stays out of every log, number, trace and record, whatever goes wrong on the way.

A whole server at log level debug: secrets are typed and spoken, shown as keys in every place that takes one, echoed by a
language model server in its errors, and hidden in malformed requests. A voice that logs what it speaks proves that the search
finds a leak.
"""

import asyncio
import contextlib
import gzip
import json
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from redis import Redis
from tests.conftest import ServerLoop
from tests.kit.chat_server import ChatServer, chat_server
from tests.kit.client import Client, calling
from tests.kit.speech import share_test_models
from tests.kit.trace_receiver import TraceReceiver, trace_receiver
from tests.kit.waiting import PATIENCE_S, until
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from agentvoicebox.audio.pcm import bytes_of
from agentvoicebox.cli.local_server import LocalServer, free_port, local_server
from agentvoicebox.client.line import SpokenLine

pytestmark = [
    pytest.mark.requirement("A12.4"),
    pytest.mark.random_order(disabled=True),  # the last test leaves the breaker of the language model open for 30 s
]

KEY, OTHER_KEY, WRONG_KEY = "hdr-Zanzibar-7781", "sub-Timbuktu-4417", "bad-Ouagadougou-9021"
MODEL_KEY = "llm-Antananarivo-3355"
NAME, NUMBER, PHONE = "Featherstonehaugh", "1Z999AA10123456784", "+14155550163"
SPOKEN = "zero zero two"  # how the number that is spoken below is said back; its text is PKG002
SECRETS = (KEY, OTHER_KEY, WRONG_KEY, MODEL_KEY, NAME, NUMBER, PHONE, PHONE[1:], SPOKEN, "PKG002")
PLANTED = "Quetzalcoatl"

VOICE = f'''
import structlog
from agentvoicebox.providers.tts.scripted import ScriptedTts


class Leaky(ScriptedTts):
    def synthesize(self, text, *, voice, speed=1.0):
        if "{PLANTED}" in text:
            structlog.get_logger(__name__).debug("speaking", words=text)
        return super().synthesize(text, voice=voice, speed=speed)


def make(catalogue):
    return Leaky()
'''
ENTRY_POINTS = "[agentvoicebox.tts]\nleaky = leaky_voice:make\n"


class Place:
    """The server, the language model behind it, and everything that either of them leaves behind."""

    def __init__(
        self,
        server: LocalServer,
        model: ChatServer,
        webhook_port: int,
        internal_ports: tuple[int, int],
        collector: TraceReceiver,
    ) -> None:
        self.server = server
        self.model = model
        self.webhook_port = webhook_port
        self.internal_ports = internal_ports
        self.collector = collector
        self.progress: list[str] = []
        self.traces: list[str] = []

    def url(self, query: str) -> str:
        return self.server.url.replace("http", "ws") + f"/realtime?{query}"

    @contextlib.asynccontextmanager
    async def call(self, agent: str, query: str = "") -> AsyncIterator[Client]:
        headers = {"Authorization": f"Bearer {KEY}", "X-Correlation-ID": PHONE}
        async with calling(self.url(f"model={agent}&trace=1{query}"), additional_headers=headers) as client:
            yield client
        self.traces += [json.dumps(event) for event in client.of("agentvoicebox.turn")]

    def left(self) -> dict[str, str]:
        """Everything that is left, by where."""
        folder = self.server.data_dir
        found = {"progress": "\n".join(self.progress), "traces": "\n".join(self.traces)}
        found["log"] = self.server.log.read_text()
        found["spans"] = str(self.collector.requests)
        for path in [*folder.glob("log/*.log"), *folder.glob("interactions/**/*")]:
            raw = path.read_bytes() if path.is_file() else b""
            found[path.name] = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode(errors="replace")
        webhook, gateway = (f"http://127.0.0.1:{port}" for port in self.internal_ports)
        for name, address in {
            "metrics": f"{gateway}/metrics",
            "ready": f"{gateway}/ready",
            "webhook metrics": f"{webhook}/metrics",
        }.items():
            found[name] = httpx.get(address, trust_env=False).text
        return found

    def places_of(self, secret: str) -> dict[str, str]:
        """Where a text is found, with what stands around it the first time."""
        return {where: _around(text, secret) for where, text in self.left().items() if secret.lower() in text.lower()}


def _around(text: str, secret: str) -> str:
    at = text.lower().index(secret.lower())
    return text[max(0, at - 150) : at + len(secret) + 50]


@pytest.fixture(scope="module")
def place(server_loop: ServerLoop) -> Iterator[Place]:
    """A server of this module's own, with the leaky voice and two servers' worth of trouble behind it."""
    stack = AsyncExitStack()
    made: list[Place] = []

    async def start(folder: Path) -> None:
        plugin = folder / "plugin"
        (plugin / "leaky-1.dist-info").mkdir(parents=True)
        (plugin / "leaky-1.dist-info/entry_points.txt").write_text(ENTRY_POINTS)
        (plugin / "leaky-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: leaky\nVersion: 1\n")
        (plugin / "leaky_voice.py").write_text(VOICE)
        model = await stack.enter_async_context(chat_server(f"Good day, {PLANTED}."))
        collector = stack.enter_context(trace_receiver())
        webhook_port, internal_ports, progress = free_port(), (free_port(), free_port()), list[str]()
        settings = {
            "AVB_LOG_LEVEL": "debug",
            "AVB_API_KEYS": f"{KEY},{OTHER_KEY}",
            "AVB_LLM_BASE_URL": model.url,
            "AVB_LLM_API_KEY": MODEL_KEY,
            "AVB_LLM_MODEL": "m",
            "AVB_TTS_ORDER": "leaky",
            "AVB_TRACES_URL": collector.url,
            "NO_PROXY": "127.0.0.1",
            "AVB_WEBHOOK_PORT": str(webhook_port),
            "AVB_INTERNAL_PORT": str(internal_ports[0]),
            "AVB_GATEWAY_INTERNAL_PORT": str(internal_ports[1]),
            "PYTHONPATH": f"{plugin}:{os.environ.get('PYTHONPATH', '')}",
        }
        server = await stack.enter_async_context(
            local_server(folder / "data", settings=settings, progress=progress.append)
        )
        made.append(Place(server, model, webhook_port, internal_ports, collector))
        made[0].progress = progress

    with tempfile.TemporaryDirectory(prefix="avb-e2e-", ignore_cleanup_errors=True) as folder:
        (Path(folder) / "data").mkdir()
        share_test_models(Path(folder) / "data")
        server_loop.run(start(Path(folder)))
        yield made[0]
        server_loop.run(stack.aclose())


async def type_in(client: Client, text: str) -> dict[str, object]:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    await client.send("conversation.item.create", item=item)
    await client.send("response.create", response={"metadata": {"caller": PHONE}})
    response: dict[str, object] = (await client.until("response.done"))["response"]
    return response


async def test_a_planted_leak_is_found(place: Place) -> None:
    async with place.call("assistant") as client:
        assert (await type_in(client, "Good day."))["status"] == "completed"
    await until(lambda: [] if place.places_of(PLANTED) else ["the leak"], "not found")
    assert list(place.places_of(PLANTED)) == ["log"]


async def test_no_secret_is_left_anywhere_by_calls_in_which_everything_goes_wrong(
    place: Place, say: Callable[[str], SpokenLine]
) -> None:
    async with place.call("delivery") as client:  # a typed turn about a parcel, and its tool
        await client.send("session.update", session={"instructions": f"The caller is {NAME}, {PHONE}."})
        response = await type_in(client, f"I am {NAME}. Where is parcel {NUMBER}?")
        assert response["status"] == "completed"
        for frame in (
            f'{{"type": "{NAME}"}}', f'{{"type": "session.update", {NAME}', f"{NAME}", "[" * 500 + NAME,
            json.dumps({"type": "session.update", "session": {NAME: NUMBER}}),
            json.dumps({"type": "conversation.item.create", "item": {"type": NAME, "text": NUMBER}}),
            json.dumps({"type": "input_audio_buffer.append", "audio": NAME}),
        ):  # fmt: skip
            await client.ws.send(frame)
            await client.until("error")
    async with place.call("delivery") as client:  # a spoken turn
        await client.use(audio={"input": {"transcription": {"model": "whisper-1"}}})
        await client.append(bytes_of(say("It's P, K, G, zero, zero, two.").pcm) + bytes(96_000))
        heard = await client.until("conversation.item.input_audio_transcription.completed")
        assert heard["transcript"]
        said = (await client.until("response.done"))["response"]["output"][0]["content"][0]["transcript"]
        assert SPOKEN in said
    await trouble_with_the_model(place)
    await knock(place)
    await ask_the_webhook_server(place)
    await break_the_store(place)
    await until_recorded(place, calls=2)
    assert {"turn", "chat dialogue", "execute_tool get_delivery_status"} <= {
        each.name for each in place.collector.spans
    }
    leaks = {secret: where for secret in SECRETS if (where := place.places_of(secret))}
    assert not leaks, "\n".join(
        f"{secret}: {where}: {around}" for secret, found in leaks.items() for where, around in found.items()
    )


async def trouble_with_the_model(place: Place) -> None:
    """Errors of a language model server that hold the words it was asked with, before and within its answer."""
    for fault in (f"400: {NAME} {NUMBER}", f"503: {NAME}", f"garbage: {NAME}", f"error inside: {NAME}"):
        place.model.trouble = fault
        async with place.call("assistant") as client:
            response = await type_in(client, f"My name is {NAME}, my number {PHONE}.")
            assert response["status"] == "failed"
    place.model.trouble = ""


async def knock(place: Place) -> None:
    """Keys and names in every place where somebody might put one."""
    for options in (
        {"additional_headers": {"Authorization": f"Bearer {WRONG_KEY}"}},
        {"additional_headers": {"api-key": WRONG_KEY}},
        {"subprotocols": [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{WRONG_KEY}")]},
        {"subprotocols": [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{OTHER_KEY}")]},
    ):
        for query in (f"model=delivery&api_key={WRONG_KEY}", f"model={NAME}", f"session_id={NAME}", f"call_id={PHONE}"):
            async with asyncio.timeout(PATIENCE_S), connect(place.url(query), **options) as ws:
                await ws.recv()
    async with httpx.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {WRONG_KEY}"}) as web:
        for path in (f"/models?api_key={WRONG_KEY}", f"/sessions/{NAME}", f"/{NAME}", "/models"):
            await web.get(place.server.url + path)
            await web.get(place.server.url + path, headers={"Authorization": f"Bearer {KEY}"})


async def ask_the_webhook_server(place: Place) -> None:
    """The webhook routes, with good and bad requests."""
    async with httpx.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{place.webhook_port}") as web:
        for headers in ({"Authorization": f"Bearer {KEY}"}, {"Authorization": f"Bearer {WRONG_KEY}"}, {}):
            await web.post("/v1/track", json={"tracking_id": NUMBER, "caller": NAME}, headers=headers)
            await web.post("/v1/track", content=f'{{"tracking_id": {NAME}', headers=headers)
            await web.post(f"/v1/tools/{NAME}", json={"tracking_id": NUMBER}, headers=headers)


async def break_the_store(place: Place) -> None:
    """The store refuses what it is given, with its own words about it."""
    with Redis(unix_socket_path=str(place.server.data_dir / "run" / "valkey.sock")) as redis:
        async with place.call("delivery") as client:
            redis.config_set("min-replicas-to-write", 1)
            try:
                response = await type_in(client, f"I am {NAME}, and my parcel is {NUMBER}.")
                assert response["status"] == "failed"
            finally:
                redis.config_set("min-replicas-to-write", 0)


async def until_recorded(place: Place, *, calls: int) -> None:
    """Until the records of so many calls are written."""

    def missing() -> int:
        kept = "".join(text for name, text in place.left().items() if name.startswith("interactions"))
        return max(0, calls - kept.count("\n"))

    await until(missing, "records are missing")
