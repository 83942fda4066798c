"""The whole server, as a user starts it, once a session; and lines of speech for its callers."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from redis import Redis
from tests.conftest import ServerLoop
from tests.kit.speech import CACHE, share_test_models

from agentvoicebox.cli.local_server import LocalServer, local_server
from agentvoicebox.client.caller_voice import speak_lines
from agentvoicebox.client.line import SpokenLine


@pytest.fixture(scope="session")
def server(server_loop: ServerLoop) -> Iterator[LocalServer]:
    """A real `serve` with embedded Valkey and PostgreSQL in a folder of its own."""
    stack = contextlib.AsyncExitStack()
    started: list[LocalServer] = []

    async def start() -> None:
        started.append(await stack.enter_async_context(local_server(Path(folder))))

    with tempfile.TemporaryDirectory(prefix="avb-e2e-", ignore_cleanup_errors=True) as folder:
        share_test_models(Path(folder))
        server_loop.run(start())
        yield started[0]
        server_loop.run(stack.aclose())


@pytest.fixture
def store(server: LocalServer) -> Iterator[Redis]:
    """The server's own Valkey."""
    with Redis(unix_socket_path=str(server.data_dir / "run" / "valkey.sock"), decode_responses=True) as redis:
        yield redis


@cache
def _line(text: str) -> SpokenLine:
    return speak_lines([text], cache_dir=CACHE)[0]


@pytest.fixture(scope="session")
def say() -> Callable[[str], SpokenLine]:
    """Text → a line in the caller's voice."""
    return _line
