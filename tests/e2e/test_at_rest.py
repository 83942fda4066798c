"""Nothing of what a caller typed and said is left in any byte of the data folder, once it is to be gone.

A whole server with its embedded Valkey and PostgreSQL. A call types a secret and speaks a line, and ends. An hour later (a manual
clock) the janitor's steps are taken. Before them the search finds the words and the audio, so it would find them afterwards.
"""

import re
import secrets
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis
from tests.kit.client import Client, calling
from tests.kit.client import until as reached
from tests.kit.speech import share_test_models

from agentvoicebox.audio.pcm import bytes_of
from agentvoicebox.broker.connection import Connection
from agentvoicebox.broker.store_cleaner import StoreCleaner
from agentvoicebox.cli.local_server import local_server
from agentvoicebox.client.line import SpokenLine
from agentvoicebox.clock import ManualClock
from agentvoicebox.settings import Settings
from agentvoicebox.storage.postgres import JANITOR_ROLE, Postgres
from agentvoicebox.storage.retention import Retention
from agentvoicebox.storage.rules import RetentionRules
from agentvoicebox.supervisor.embedded.erasure import Erasure
from agentvoicebox.supervisor.embedded.postgres import EmbeddedPostgres

pytestmark = pytest.mark.requirement("A12.4")

TYPED = "Featherstonehaugh-Zanzibar"
HOUR_S, DAY_S = 3_600.0, 86_400.0
STRETCH_BYTES = 64
# In the append-only file: a stream of audio, the field of an entry, and the entry's bytes.
AUDIO_ENTRY = re.compile(rb"avb:audio:(?:in|out):[^\r]+\r\n(?:\$\d+\r\n[^\r\n]*\r\n){1,6}?\$1\r\n[ar]\r\n\$(\d+)\r\n")


def files(folder: Path) -> list[Path]:
    """Every file of the data folder; models, a link to a cache, are left out."""
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_relative_to(folder / "models")]


def found(folder: Path, needles: dict[str, bytes]) -> set[tuple[str, str]]:
    """Which text or stretch of audio is found, and in which part of the data folder."""
    contents = {path: path.read_bytes() for path in files(folder)}
    return {
        (name, path.relative_to(folder).parts[0])
        for path, content in contents.items()
        for name, needle in needles.items()
        if needle in content
    }


def audio_of(folder: Path) -> dict[str, bytes]:
    """A stretch of the caller's audio and one of the agent's, as the store has written them: each from the liveliest entry."""
    stretches: dict[str, bytes] = {}
    for path in (folder / "valkey").rglob("*.aof"):
        content = path.read_bytes()
        for entry in AUDIO_ENTRY.finditer(content):
            size = int(entry[1])
            middle = entry.end() + size // 2
            name = "heard" if b"avb:audio:in" in entry[0] else "spoken"
            stretch = content[middle : middle + STRETCH_BYTES]
            if size > 2 * STRETCH_BYTES and len(set(stretch)) > len(set(stretches.get(name, b""))):
                stretches[name] = stretch
    return stretches


async def talk(client: Client, line: SpokenLine) -> dict[str, bytes]:
    """Type the secret and speak the line; what must not be left of both."""
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": f"I am {TYPED}."}]}
    await client.send("conversation.item.create", item=item)
    await client.send("response.create")
    await client.until("response.done")
    await client.use(audio={"input": {"transcription": {"model": "whisper-1"}}})
    pcm = bytes_of(line.pcm)
    await client.append(pcm + bytes(96_000))
    heard = str((await client.until("conversation.item.input_audio_transcription.completed"))["transcript"]).strip()
    assert len(heard) > 20
    await client.until("response.done")
    middle = pcm[len(pcm) // 2 :][:960]
    return {"typed": TYPED.encode(), "transcript": heard.encode(), "wire": middle, "base64": b64encode(middle)[:100]}


async def until_over(folder: Path) -> None:
    """Until the store holds no key of the session and no record that waits."""
    with Redis(unix_socket_path=str(folder / "run" / "valkey.sock"), decode_responses=True) as redis:

        async def is_over() -> bool:
            return not redis.xlen("avb:record") and not [*redis.scan_iter("avb:*{default/*")]

        await reached(is_over)


async def rewrite(folder: Path) -> None:
    """The janitor's step for the store, an hour later."""
    connection = Connection(f"unix://{folder / 'run' / 'valkey.sock'}?db=0")
    clock = ManualClock(wall_s=time.time() + HOUR_S)
    every_s = 60 * Settings.load().store_rewrite_minutes

    async def is_done() -> bool:
        (info,) = await connection.call(lambda: connection.store.on_each_node("INFO", "persistence"))
        return not info["aof_rewrite_in_progress"] and info["aof_last_bgrewrite_status"] == "ok"

    try:
        assert await StoreCleaner(connection, every_s=every_s, clock=clock).clean()
        await reached(is_done)
    finally:
        await connection.close()


async def delete_records(folder: Path) -> None:
    """The janitor's step for records, a few days later, and the supervisor's for the disk."""
    server = EmbeddedPostgres(folder / "postgres", folder / "run")
    postgres = await Postgres.open(server.url, most_connections=1, role=JANITOR_ROLE)
    try:
        clock = ManualClock(wall_s=time.time() + 3 * DAY_S)
        assert (await Retention(postgres, RetentionRules(days=1, audit_days=300), clock=clock).sweep()).items > 1
    finally:
        await postgres.close()
    erasure = Erasure(server.erasure_url)

    async def is_erased() -> bool:  # the server counts deletions a moment later
        return any("conversation_items" in name for name in await erasure.erase())

    await reached(is_erased)


@pytest.mark.parametrize("words", ["mask", "encrypt", "keep"])
async def test_no_byte_of_a_callers_words_is_left_when_its_time_is_over(
    words: str, say: Callable[[str], SpokenLine]
) -> None:
    settings = {"AVB_HISTORY_WORDS": words, "AVB_HISTORY_KEYS": b64encode(secrets.token_bytes(32)).decode()}
    line = say("Where is my parcel? It's P, K, G, zero, zero, two.")
    with tempfile.TemporaryDirectory(prefix="avb-e2e-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        share_test_models(folder)
        async with local_server(folder, settings=settings) as server:
            async with calling(server.url.replace("http", "ws") + "/realtime?model=delivery") as client:
                needles = await talk(client, line)
            await until_over(folder)
            needles |= audio_of(folder)
            before = found(folder, needles)
            assert before >= {(name, "valkey") for name in ("typed", "transcript", "heard", "spoken")}
            assert (("typed", "postgres") in before) == (words == "keep")
            if words == "keep":
                await delete_records(folder)
            await rewrite(folder)
            assert found(folder, needles) == set()
        assert found(folder, needles) == set()
