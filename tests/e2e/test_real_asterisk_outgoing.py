"""A call that is ordered over REST: a real Asterisk rings, and who answers hears the agent. `make telephone` runs it."""

import json
import os
import tempfile
from pathlib import Path

import httpx
import pytest
from tests.kit.asterisk import EXTENSION, HOME, INTERFACE_PASSWORD, INTERFACE_USER, Asterisk, asterisk
from tests.kit.asterisk_folder import prepare
from tests.kit.speech import share_test_models
from tests.kit.telephone_calls import TOKEN
from tests.kit.waiting import PATIENCE_S, until
from tests.kit.word_errors import word_errors

from agentvoicebox.cli.local_server import LocalServer, free_port, local_server
from agentvoicebox_delivery.dialogue import phrases

pytestmark = [
    pytest.mark.requirement("C10"),
    pytest.mark.skipif(not os.environ.get("REAL_TELEPHONE"), reason="takes four minutes and 0.6 GB: make telephone"),
]


async def test_who_is_called_answers_and_hears_the_agent() -> None:
    port, interface_port = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="avb-telephone-", ignore_cleanup_errors=True) as folder:
        share_test_models(Path(folder))
        settings = {
            "AVB_TELEPHONY": "asterisk",
            "AVB_TELEPHONY_PORT": str(port),
            "AVB_TELEPHONY_TOKEN": TOKEN,
            "AVB_OUTGOING_PREFIXES": "70",
            "AVB_ASTERISK_ARI": f"http://127.0.0.1:{interface_port}/ari",
            "AVB_ASTERISK_ARI_USER": INTERFACE_USER,
            "AVB_ASTERISK_ARI_PASSWORD": INTERFACE_PASSWORD,
            "AVB_ASTERISK_DIAL": f"Local/{{number}}@{HOME}",
            "AVB_ASTERISK_ANSWER": f"{EXTENSION}@from-sip",
        }
        media_url = f"ws://127.0.0.1:{port}/asterisk/media"
        async with (
            local_server(Path(folder), settings=settings) as server,
            asterisk(prepare(), media_url, password=TOKEN, interface_port=interface_port) as running,
            httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as rest,
        ):
            headers = {"Authorization": f"Bearer {TOKEN}"}
            answer = await rest.post(f"http://127.0.0.1:{port}/calls", json={"to": "7001"}, headers=headers)
            assert answer.status_code == 201, (
                answer.text,
                [line for line in running.log.read_text().splitlines() if "WARN" in line or "ERR" in line][-30:],
            )
            assert answer.json()["call_id"]
            await until(lambda: not _ended(server), "the call has not ended")
            assert _ended(server) == ["caller_left"]
            heard = await _recognised(rest, server, running)
            assert word_errors(phrases.GREETING, heard) <= 1, heard
            refused = await rest.post(f"http://127.0.0.1:{port}/calls", json={"to": "8001"}, headers=headers)
            assert refused.status_code == 403


def _ended(server: LocalServer) -> list[str]:
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    return [line["outcome"] for line in lines if line["message"] == "telephone call ended"]


async def _recognised(rest: httpx.AsyncClient, server: LocalServer, running: Asterisk) -> str:
    form = {"file": ("heard.wav", running.heard.read_bytes(), "audio/wav")}
    answer = await rest.post(f"{server.url}/audio/transcriptions", files=form, data={"model": "whisper-1"})
    return str(answer.raise_for_status().json()["text"])
