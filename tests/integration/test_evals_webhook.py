"""Webhook requests of the running webhook, recorded, redacted, posted again, and compared."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from tests.contract.test_webhook_shapes import SHAPES
from tests.kit.kits import CHOICE, DELIVERY, REDACTOR
from tests.kit.webhook import UPS, Backend, WebhookClients, asking, captured, item, over, parcel, tool_calls

from agentvoicebox.errors import StorageLost
from agentvoicebox.evals.live_run import LiveRun
from agentvoicebox.evals.replay import Replay, replay_tools
from agentvoicebox.evals.replay_live import ServerUnavailable, replay_webhook
from agentvoicebox.evals.scenario import Tolerance
from agentvoicebox.evals.score import score
from agentvoicebox.interactions.day_files import read
from agentvoicebox.interactions.interaction import Interaction
from agentvoicebox.interactions.recorder import InteractionRecorder
from agentvoicebox.interactions.webhooks import WebhookExchange, record_webhook, uses_of
from agentvoicebox_delivery.parcels import tool_schema

pytestmark = pytest.mark.requirement("B3.4-3.5")

ETA = date(2026, 11, 24)
NOW_S = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()


async def recorded(
    webhook: WebhookClients, folder: Path, *bodies: Any, keeps_words: bool, path: str = "/vapi/webhook"
) -> list[Interaction]:
    recording = InteractionRecorder(
        folder,
        keeps_words=keeps_words,
        redactor=REDACTOR,
        judge_of=lambda names: DELIVERY.judge_of([tool_schema.NAME]),
    )
    for number, body in enumerate(bodies):
        content = json.dumps(body).encode()
        answer = await webhook.public.post(path, content=content, headers={"content-type": "application/json"})
        exchange = WebhookExchange(
            began_s=NOW_S + number,
            took_ms=12.0,
            correlation_id=f"correlation-{number}",
            call_id="call",
            source="vapi",
            request=content,
            status=answer.status_code,
            answer=answer.content,
            parts_ms={"tool": 9.0},
            channel="webhook" if "vapi" in path else "rest",
        )
        record_webhook(recording, exchange)
    recording.start()
    recording.close()
    assert (recording.failed, recording.dropped) == (0, 0)
    return list(read(folder))


@pytest.mark.parametrize("shape", SHAPES)
async def test_each_shape_is_recorded_with_its_calls_and_replays(shape: str, tmp_path: Path) -> None:
    async with over(Backend(parcel(eta=ETA, carrier="UPS"))) as webhook:
        (kept,) = await recorded(webhook, tmp_path, SHAPES[shape], keeps_words=True)
        assert [use.code for use in kept.tool_calls] == ["FOUND"]
        assert UPS in kept.tool_calls[0].arguments
        (tool,) = await replay_tools(kept, CHOICE.default)
        assert (tool.verdict, tool.why) == ("same", "")
        again = await replay_webhook(
            kept, webhook.public, "/vapi/webhook", Tolerance(), CHOICE.default, today=date(2026, 11, 22)
        )
        assert (again.verdict, again.why) == ("same", "")


async def test_an_answer_that_has_changed_is_found_within_the_tolerance(tmp_path: Path) -> None:
    backend = Backend(parcel(eta=ETA))
    async with over(backend, cache_ttl_s=0.0) as webhook:
        (kept,) = await recorded(webhook, tmp_path, asking(), keeps_words=True)
    today = date(2026, 11, 22)
    async with over(Backend(parcel(eta=date(2026, 11, 25)))) as webhook:
        exact = await replay_webhook(kept, webhook.public, "/vapi/webhook", Tolerance(), CHOICE.default, today=today)
        loose = await replay_webhook(
            kept, webhook.public, "/vapi/webhook", Tolerance(days="any"), CHOICE.default, today=today
        )
        moved = await replay_webhook(
            kept, webhook.public, "/vapi/webhook", Tolerance(), CHOICE.default, today=date(2026, 11, 23)
        )
    assert (exact.verdict, exact.why) == ("different", "day of arrival is not the same")
    assert loose.verdict == "same" and moved.verdict == "same", "a catalogue that moves with the days is no fault"
    async with over(Backend()) as webhook:
        gone = await replay_webhook(kept, webhook.public, "/vapi/webhook", Tolerance(), CHOICE.default)
    assert gone.why == "FOUND then, NOT_FOUND now"


def day_file(folder: Path) -> Path:
    """The one file there, whichever day it is of."""
    (file,) = folder.rglob("*.jsonl")
    return file


async def test_by_default_no_secret_number_name_or_word_of_a_request_is_kept(tmp_path: Path) -> None:
    async with over(Backend(parcel(eta=ETA))) as webhook:
        (kept,) = await recorded(webhook, tmp_path, captured({"tracking_id": UPS}), keeps_words=False)
        again = await replay_webhook(kept, webhook.public, "/vapi/webhook", Tolerance(), CHOICE.default)
    file = day_file(tmp_path)
    text = file.read_text()
    for private in (
        "SENSITIVE",
        "TWILIO",
        "4155550123",
        "9255550100",
        "Wilhelmina",
        "where is my parcel",
        UPS,
        "on its way",
    ):
        assert private not in text, private
    assert UPS[-4:] in text and "0123" in text, "the last four are kept"
    assert kept.tool_calls[0].code == "FOUND" and kept.judgement is not None and kept.judgement.unfounded == ()
    assert again.verdict == "impossible"


async def test_local_mode_keeps_everything_but_secrets(tmp_path: Path) -> None:
    async with over(Backend(parcel(eta=ETA))) as webhook:
        (kept,) = await recorded(webhook, tmp_path, captured({"tracking_id": UPS}), keeps_words=True)
    file = day_file(tmp_path)
    text = file.read_text()
    assert "SENSITIVE" not in text and "TWILIO" not in text
    assert "Wilhelmina" in text and UPS in text
    assert kept.waits[0].parts_ms == {"tool": 9.0, "webhook": 3.0}


async def test_a_batch_an_outage_and_rest_are_scored(tmp_path: Path) -> None:
    batch = tool_calls(item({"tracking_id": UPS}, "call_1"), item({"tracking_id": "PKG999"}, "call_2"))
    async with over(Backend(parcel(eta=ETA))) as webhook:
        await recorded(webhook, tmp_path, batch, keeps_words=True)
        await recorded(webhook, tmp_path / "rest", {"tracking_id": UPS}, keeps_words=True, path="/v1/track")
    async with over(Backend(fails=StorageLost("away"))) as webhook:
        await recorded(webhook, tmp_path / "down", asking(), keeps_words=True)
    interactions = list(read(tmp_path))
    assert [[use.code for use in each.tool_calls] for each in interactions] in (
        [["FOUND", "NOT_FOUND"], ["UNAVAILABLE"], ["FOUND"]],
        [["FOUND", "NOT_FOUND"], ["FOUND"], ["UNAVAILABLE"]],
    )
    found = score(interactions, scenarios={}, choice=CHOICE)
    assert found.metrics["tool.success"].value == 0.75
    assert found.metrics["webhook.success"].value == 1.0
    assert {"latency.webhook.total.p95", "latency.rest.total.p95"} <= found.metrics.keys()


async def test_a_sentence_that_says_another_day_than_its_data_is_a_hallucination(tmp_path: Path) -> None:
    async with over(Backend(parcel(eta=ETA))) as webhook:
        await recorded(webhook, tmp_path, asking(), keeps_words=True)
    file = day_file(tmp_path)
    honest = score(list(read(tmp_path)), scenarios={}, choice=CHOICE)
    file.write_text(file.read_text().replace("November twenty-fourth", "November twenty-fifth"))
    planted = score(list(read(tmp_path)), scenarios={}, choice=CHOICE)
    assert honest.metrics["hallucination.count"].value == 0
    assert planted.metrics["hallucination.count"].value == 1


# -- a run over many requests --------------------------------------------------------------------------------------------

BODIES = {
    "/vapi/webhook": asking(),
    "/v1/track": {"tracking_id": UPS},
    "/v1/tools/get_delivery_status": {"tracking_id": UPS},
}


async def recorded_by_the_server(folder: Path) -> list[Interaction]:
    """A request to each route, as the server itself records it."""
    recorder = InteractionRecorder(folder, keeps_words=True, redactor=REDACTOR)
    async with over(Backend(parcel(eta=ETA)), recorder=recorder) as webhook:
        for route, body in BODIES.items():
            answer = await webhook.public.post(route, json=body)
            assert answer.status_code == 200
    recorder.start()
    recorder.close()
    return list(read(folder))


async def run_of(interactions: list[Interaction], webhook: WebhookClients, address: str) -> list[Replay]:
    replays: list[Replay] = []
    run = LiveRun(CHOICE, {"": Tolerance(days="any")}, on_step=lambda step: None, replays=replays)
    await run.requests(interactions, webhook.public, address, {})
    return replays


@pytest.mark.parametrize("path", ["", "/", "/vapi/webhook"])
async def test_each_request_is_posted_to_its_own_route(tmp_path: Path, path: str) -> None:
    interactions = await recorded_by_the_server(tmp_path)
    assert [each.route for each in interactions] == list(BODIES)
    async with over(Backend(parcel(eta=ETA))) as webhook:
        replays = await run_of(interactions, webhook, str(webhook.public.base_url).rstrip("/") + path)
    assert [(each.verdict, each.why) for each in replays] == [("same", "")] * 3


async def test_a_wrong_address_is_told_once_for_each_route_and_is_no_difference(tmp_path: Path) -> None:
    interactions = await recorded_by_the_server(tmp_path)
    async with over(Backend(parcel(eta=ETA))) as webhook:
        posted: list[str] = []

        async def count(request: httpx.Request) -> None:
            posted.append(request.url.path)

        webhook.public.event_hooks["request"].append(count)
        webhook.public.event_hooks["response"].clear()  # of the document's check, which knows no such route
        replays = await run_of(interactions * 5, webhook, f"{webhook.public.base_url}/elsewhere/")
    assert {each.verdict for each in replays} == {"failed"}
    assert len({each.why for each in replays}) == len(posted) == 3
    assert "has no such route" in replays[0].why and "8001" in replays[0].why


async def test_a_route_of_its_own_gets_the_platforms_requests_alone(tmp_path: Path) -> None:
    interactions = await recorded_by_the_server(tmp_path)
    async with over(Backend(parcel(eta=ETA))) as webhook:
        webhook.public.event_hooks["response"].clear()
        replays = await run_of(interactions, webhook, f"{webhook.public.base_url}/hooks")
    assert [each.verdict for each in replays] == ["failed", "impossible", "impossible"]
    assert "base address" in replays[1].why


async def test_where_no_webhook_server_answers_there_is_one_error(tmp_path: Path) -> None:
    interactions = await recorded_by_the_server(tmp_path)
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(ServerUnavailable, match="no webhook server answers"):
            run = LiveRun(CHOICE, {}, on_step=lambda step: None, replays=[])
            await run.requests(interactions, client, "http://127.0.0.1:9", {})


@pytest.mark.parametrize("path", ["/vapi/webhook", "/v1/track"])
async def test_a_request_of_which_only_the_length_was_recorded_is_not_called_different(
    tmp_path: Path, path: str
) -> None:
    async with over(Backend(parcel(eta=ETA))) as webhook:
        (kept,) = await recorded(webhook, tmp_path, BODIES[path], keeps_words=True, path=path)
        lost = msgspec.structs.replace(kept, request={"bytes": 86})
        uses = uses_of(lost.request, kept.answer)
        replays = await replay_tools(msgspec.structs.replace(lost, tool_calls=tuple(uses)), CHOICE.default)
        again = await replay_webhook(lost, webhook.public, path, Tolerance(), CHOICE.default)
    assert [each.verdict for each in [*replays, again]] == ["impossible", "impossible"]
    assert {each.why for each in [*replays, again]} == {"the request's body was not recorded"}
