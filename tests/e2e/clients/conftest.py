"""A whole server in front of a scripted language model, once a session, for calls of stock clients with default settings."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import ServerLoop
from tests.kit import florist
from tests.kit.certificates import Certificate, certificate
from tests.kit.client_program import ROOT
from tests.kit.cluster import Node
from tests.kit.rule_model import RuleModel, rule_model
from tests.kit.speech import share_test_models

from agentvoicebox.audio.rates import OUTPUT_RATE_HZ
from agentvoicebox.cli.local_server import LocalServer, free_port, local_server
from agentvoicebox.client.line import SpokenLine
from agentvoicebox.client.wav_files import write_wav
from agentvoicebox.supervisor.embedded.data_folder import POSTGRES_PORT


@dataclass(frozen=True)
class FlowerShop:
    """A running server and the language model behind it.

    Attributes:
        server: with plain addresses.
        model: the scripted language model.
        tls_port: of a second gateway of the same server, which speaks TLS.
        certificate: the one that clients of it must trust.
        tool_port: where the agent `opening-hours` calls its tool; nothing listens there unless a test starts it.
        tool_secret: with which these calls are signed.
    """

    server: LocalServer
    model: RuleModel
    tls_port: int
    certificate: Certificate
    tool_port: int
    tool_secret: str

    @property
    def port(self) -> int:
        """The port of the gateway without TLS."""
        return int(self.server.root_url.rpartition(":")[2])

    @property
    def tls_url(self) -> str:
        """Base URL over TLS, ending in `/v1`."""
        return f"https://localhost:{self.tls_port}/v1"


def example_agents(folder: Path, tool_port: int) -> Path:
    """A folder with the agent of the examples, whose tool is at a port of this session."""
    text = (ROOT / "examples" / "agents" / "opening-hours.toml").read_text(encoding="utf-8")
    folder.mkdir()
    (folder / "opening-hours.toml").write_text(text.replace(":9000/", f":{tool_port}/"), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def open_shop(server_loop: ServerLoop) -> Iterator[FlowerShop]:
    """The server of this session; tests use `shop`."""
    stack = contextlib.AsyncExitStack()
    started: list[FlowerShop] = []

    async def start(folder: Path) -> None:
        model = await stack.enter_async_context(rule_model(florist.RULES))
        tool_port, tool_secret = free_port(), "a secret of the examples"
        settings = {
            "AVB_LLM_BASE_URL": model.url,
            "AVB_LLM_MODEL": "rules",
            "AVB_AGENTS_DIR": str(example_agents(folder / "agents", tool_port)),
            "AVB_TOOL_SECRET": tool_secret,
            "AVB_WEBRTC": "true",
            "AVB_WEBRTC_PORT": str(free_port()),
        }
        server = await stack.enter_async_context(local_server(folder, settings=settings))
        shown = certificate(folder / "tls")
        sockets = server.data_dir / "run"
        joined = {
            "AVB_REDIS_URL": f"unix://{sockets}/valkey.sock",
            "AVB_POSTGRES_URL": f"postgresql://agentvoicebox@/agentvoicebox?host={sockets}&port={POSTGRES_PORT}",
            "AVB_DATA_DIR": str(folder / "tls"),
            "AVB_TLS_CERT": shown.cert,
            "AVB_TLS_KEY": shown.key,
        }
        gateway = Node("gateway", ("gateway",), {**os.environ, **settings, **joined}, folder, free_port())
        stack.push_async_callback(gateway.stop)
        await gateway.start()
        started.append(FlowerShop(server, model, gateway.port, shown, tool_port, tool_secret))

    with tempfile.TemporaryDirectory(prefix="avb-clients-", ignore_cleanup_errors=True) as folder:
        share_test_models(Path(folder))
        server_loop.run(start(Path(folder)))
        yield started[0]
        server_loop.run(stack.aclose())


@pytest.fixture
def shop(open_shop: FlowerShop) -> FlowerShop:
    """The server, with nothing asked of its model yet."""
    open_shop.model.requests.clear()
    return open_shop


@pytest.fixture(scope="session")
def wav_of(say: Callable[[str], SpokenLine], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Text → a WAV file of a caller's line (24 kHz, mono, 16-bit)."""
    folder = tmp_path_factory.mktemp("lines")

    def path(text: str) -> Path:
        file = folder / (text.translate({ord(c): "_" for c in " ,.?'"}) + ".wav")
        if not file.exists():
            write_wav(file, say(text).pcm, OUTPUT_RATE_HZ)
        return file

    return path


@pytest.fixture
def order(shop: FlowerShop, wav_of: Callable[[str], Path]) -> dict[str, Any]:
    """What a caller in Node is to do."""
    lines = {
        "name": florist.NAME_LINE,
        "price": florist.PRICE_LINE,
        "story": florist.STORY_LINE,
        "endless": florist.ENDLESS_LINE,
        "stop": florist.STOP_LINE,
    }
    return {
        "url": shop.server.url,
        "instructions": florist.INSTRUCTIONS,
        "greeting": florist.GREETING_LINE,
        "tool": florist.PRICE_TOOL,
        "price": florist.PRICE,
        "lines": {name: str(wav_of(text)) for name, text in lines.items()},
    }
