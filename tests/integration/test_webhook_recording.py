"""What the webhook server records: a line for each request that wanted an answer, which replays to the same result."""

import asyncio
import codecs
import fcntl
import json
import multiprocessing
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.contract.test_webhook_shapes import SHAPES
from tests.kit.kits import CHOICE
from tests.kit.waiting import PATIENCE_S
from tests.kit.webhook import CALL, UPS, asking, captured

from agentvoicebox.evals.replay import replay_tools
from agentvoicebox.evals.replay_live import replay_webhook
from agentvoicebox.evals.scenario import Tolerance
from agentvoicebox.interactions.day_files import DayFiles, read
from agentvoicebox.interactions.interaction import Interaction, encode
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.webhook import answer_recorder
from agentvoicebox.webhook.role import webhook_server

pytestmark = pytest.mark.requirement("B3.4-3.5")

TRACK, TOOLS = "/v1/track", "/v1/tools/get_delivery_status"
JSON = {"content-type": "application/json"}
DAY_S = 86_400.0


@asynccontextmanager
async def recorded_line(folder: Path, postgres_url: str, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The role with a recording, as `serve_webhook` puts them together; at its end all lines are written."""
    settings = {
        "webhook_port": 0,
        "internal_port": 0,
        "webhook_source_limit": 0,
        "postgres_url": postgres_url,
        **settings,
    }
    loaded = load_settings(**settings, data_dir=str(folder), record_words=True)
    async with webhook_server(loaded, asyncio.Event(), records=True) as ports:
        url = f"http://127.0.0.1:{ports.public}"
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE_S) as client:
            yield client


REQUESTS: dict[str, tuple[str, Any]] = {
    **{f"vapi {shape}": ("/vapi/webhook", body) for shape, body in SHAPES.items()},
    "unknown parcel": ("/vapi/webhook", asking("PKG999")),
    "no number": ("/vapi/webhook", asking("hello")),
    "track": (TRACK, {"tracking_id": "PKG004"}),
    "track, platform": (TRACK, {"name": "t", "call": {"call_id": "x"}, "args": {"tracking_id": UPS}}),
    "tools": (TOOLS, {"trackingId": "p k g double zero four"}),
    "tools, candidates": (TOOLS, {"tracking_id": "PKG999", "candidates": ["PKG999", "PKG004"]}),
}


@pytest.mark.parametrize("name", REQUESTS)
async def test_an_interaction_is_one_line_and_replays_to_the_same_result(
    name: str, parcels_url: str, tmp_path: Path
) -> None:
    path, body = REQUESTS[name]
    async with recorded_line(tmp_path, parcels_url) as client:
        response = await client.post(path, json=body, headers={"x-correlation-id": "corr-1"})
    (file,) = DayFiles(tmp_path / "interactions").open_days()
    assert file.read_bytes().count(b"\n") == 1
    (kept,) = read(file)
    assert (kept.status, kept.correlation_id) == (response.status_code, "corr-1")
    assert kept.channel == ("webhook" if "vapi" in path else "rest")
    assert kept.answer == response.json()
    (tool,) = await replay_tools(kept, CHOICE.default)
    assert (tool.verdict, tool.why) == ("same", "")
    async with recorded_line(tmp_path / "again", parcels_url) as client:
        today = datetime.fromtimestamp(kept.began_s, UTC).date()
        again = await replay_webhook(kept, client, path, Tolerance(), CHOICE.default, today=today)
    assert (again.verdict, again.why) == ("same", "")


async def test_what_wants_no_answer_or_may_not_ask_leaves_no_line_and_a_422_does(
    parcels_url: str, tmp_path: Path
) -> None:
    async with recorded_line(tmp_path, parcels_url, vapi_secrets="hush") as client:
        key = {"x-vapi-secret": "hush"}
        assert (await client.post("/vapi/webhook", json=asking())).status_code == 401
        notice = {"message": {"type": "transcript", "transcript": "hi"}}
        assert (await client.post("/vapi/webhook", json=notice, headers=key)).status_code == 200
        for path, body in (
            ("/vapi/webhook", b"x"),
            ("/vapi/webhook", b'{"message":{}}'),
            (TRACK, b"{}"),
            (TOOLS, b"{}"),
        ):
            response = await client.post(path, content=body, headers={**key, "content-type": "application/json"})
            assert response.status_code == 422
        await client.post("/vapi/webhook", json=captured({"tracking_id": UPS}), headers=key)
    kept = list(read(tmp_path / "interactions"))
    assert [each.status for each in kept] == [422, 422, 422, 422, 200]
    assert kept[-1].call_id == CALL
    assert b"hush" not in DayFiles(tmp_path / "interactions").open_days()[0].read_bytes()


async def test_a_body_with_a_byte_order_mark_is_recorded_and_replays_to_the_same_result(
    parcels_url: str, tmp_path: Path
) -> None:
    bodies = (("/vapi/webhook", asking()), (TRACK, {"tracking_id": "PKG004"}), (TOOLS, {"tracking_id": "PKG004"}))
    async with recorded_line(tmp_path, parcels_url) as client:
        for path, body in bodies:
            content = codecs.BOM_UTF8 + json.dumps(body).encode()
            response = await client.post(path, content=content, headers=JSON)
            assert response.status_code == 200
    kept = list(read(tmp_path / "interactions"))
    assert [each.request for each in kept] == [body for _, body in bodies]
    async with recorded_line(tmp_path / "again", parcels_url) as client:
        for each, (path, _) in zip(kept, bodies, strict=True):
            (tool,) = await replay_tools(each, CHOICE.default)
            again = await replay_webhook(
                each, client, path, Tolerance(), CHOICE.default, today=datetime.now(UTC).date()
            )
            assert (tool.verdict, again.verdict) == ("same", "same"), (tool.why, again.why)


@pytest.mark.parametrize("path", ["/vapi/webhook", TRACK, TOOLS])
@pytest.mark.parametrize("body", [b"\xff\xfe{}", b'{"tracking_id":"\xff"}', b'{"message":{"type":"tool-calls\xc3"}}'])
async def test_a_body_that_is_not_utf_8_is_a_422_that_is_recorded(
    path: str, body: bytes, parcels_url: str, tmp_path: Path
) -> None:
    async with recorded_line(tmp_path, parcels_url) as client:
        response = await client.post(path, content=body, headers=JSON)
    assert response.status_code == 422
    (kept,) = read(tmp_path / "interactions")
    assert (kept.status, kept.request, kept.tool_calls) == (422, {"bytes": len(body)}, ())


@pytest.mark.parametrize("tracking_id", ["hello", 9400111206206406000000])
async def test_an_invalid_id_is_recorded_as_such_and_not_as_a_failure(
    tracking_id: object, parcels_url: str, tmp_path: Path
) -> None:
    async with recorded_line(tmp_path, parcels_url) as client:
        assert (await client.post(TRACK, json={"tracking_id": tracking_id})).status_code == 422
    (kept,) = read(tmp_path / "interactions")
    (use,) = kept.tool_calls
    assert (use.name, use.code, kept.status) == ("get_delivery_status", "INVALID_ID", 422)
    assert json.loads(use.arguments) == {"tracking_id": tracking_id}
    (tool,) = await replay_tools(kept, CHOICE.default)
    assert (tool.verdict, tool.why) == ("same", "")
    async with recorded_line(tmp_path / "again", parcels_url) as client:
        again = await replay_webhook(kept, client, TRACK, Tolerance(), CHOICE.default, today=datetime.now(UTC).date())
    assert (again.verdict, again.why) == ("same", "")


async def test_an_answer_goes_out_even_if_it_can_not_be_recorded(
    parcels_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(recorder: object, exchange: object) -> None:
        raise RuntimeError("a bug of the recorder")

    monkeypatch.setattr(answer_recorder, "record_webhook", broken)
    async with recorded_line(tmp_path, parcels_url) as client:
        response = await client.post(TRACK, json={"tracking_id": "PKG004"})
        assert (response.status_code, response.json()["code"]) == (200, "FOUND")


async def test_half_a_surrogate_pair_is_answered_and_kept(parcels_url: str, tmp_path: Path) -> None:
    async with recorded_line(tmp_path, parcels_url) as client:
        for path in (TRACK, TOOLS):
            body = b'{"tracking_id": "PKG004", "note": "\\ud83d"}'
            response = await client.post(path, content=body, headers={"content-type": "application/json"})
            assert response.json()["code"] == "FOUND"
    assert len(list(read(tmp_path / "interactions"))) == 2


def _append_many(folder: Path, writer: int) -> None:
    files = DayFiles(folder)
    for number in range(200):
        files.append(b'{"writer":%d,"n":%d,"x":"%s"}' % (writer, number, b"x" * 20_000), DAY_S)


def test_lines_of_several_processes_never_mix(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_append_many, args=(tmp_path, number)) for number in range(3)]
    for each in writers:
        each.start()
    for each in writers:
        each.join(60)
        assert each.exitcode == 0
    lines = DayFiles(tmp_path).path_of(DAY_S).read_bytes().splitlines()
    assert len(set(lines)) == len(lines) == 600
    assert all(line.startswith(b'{"writer":') and line.endswith(b'x"}') for line in lines)


def test_a_line_is_not_lost_when_another_process_archives_the_day_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = DayFiles(tmp_path, keep_days=1), DayFiles(tmp_path, keep_days=1)
    first, second = (a_line(began_s) for began_s in (DAY_S, DAY_S + 1))
    ours.append(first, DAY_S)
    flock = fcntl.flock

    def meanwhile(handle: Any, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        assert theirs.archive(5 * DAY_S)  # opened by us, not yet locked
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", meanwhile)
    ours.append(second, DAY_S)
    assert [each.began_s for each in read(tmp_path)] in ([DAY_S, DAY_S + 1], [DAY_S + 1, DAY_S])
    assert ours.archive(5 * DAY_S)
    assert [each.began_s for each in read(tmp_path)] == [DAY_S, DAY_S + 1]


def a_line(began_s: float) -> bytes:
    return encode(
        Interaction(
            timestamp="", began_s=began_s, correlation_id="c", call_id="", channel="rest", software="", has_words=True
        )
    )
