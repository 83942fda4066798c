"""A whole server in front of a scripted language model, once a session, for calls of stock clients with default settings."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import ServerLoop
from tests.kit import florist
from tests.kit.certificate import Certificate, certificate
from tests.kit.rule_model import RuleModel, rule_model
from tests.kit.speech import CACHE
from tests.kit.tcp_line import TcpLine

from agentvoicebox.audio.rates import OUTPUT_RATE_HZ
from agentvoicebox.cli.local_server import LocalServer, local_server
from agentvoicebox.client.line import SpokenLine
from agentvoicebox.client.wav_files import write_wav

# Until a language model's agent is the default: then this is empty, and can go.
SETTINGS = {"AVB_DEFAULT_AGENT": "assistant"}


@dataclass(frozen=True)
class FlowerShop:
    """A running server and the language model behind it.

    Attributes:
        server: with plain addresses.
        model: the scripted language model.
        tls_url: base URL over TLS, ending in `/v1`.
        certificate: the one that clients of `tls_url` must trust.
    """

    server: LocalServer
    model: RuleModel
    tls_url: str
    certificate: Certificate

    @property
    def port(self) -> int:
        """The server's own port."""
        return port_of(self.server)


def port_of(server: LocalServer) -> int:
    """Where it listens."""
    return int(server.root_url.rpartition(":")[2])


@pytest.fixture(scope="session")
def open_shop(server_loop: ServerLoop) -> Iterator[FlowerShop]:
    """The server of this session; tests use `shop`."""
    stack = contextlib.AsyncExitStack()
    started: list[FlowerShop] = []

    async def start(folder: Path) -> None:
        model = await stack.enter_async_context(rule_model(florist.RULES))
        settings = {"AVB_LLM_BASE_URL": model.url, "AVB_LLM_MODEL": "rules", **SETTINGS}
        server = await stack.enter_async_context(local_server(folder, settings=settings))
        shown = certificate(folder)
        line = await stack.enter_async_context(TcpLine(port_of(server), tls=shown.server))
        started.append(FlowerShop(server, model, f"https://localhost:{line.port}/v1", shown))

    with tempfile.TemporaryDirectory(prefix="avb-clients-", ignore_cleanup_errors=True) as folder:
        CACHE.mkdir(parents=True, exist_ok=True)
        (Path(folder) / "models").symlink_to(CACHE)  # prepared voices stay between runs
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
