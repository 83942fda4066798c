"""Who asks gives the request a name, or the gateway does; the answer says it, and the workers' log lines have it."""

import re

import httpx
import pytest
from tests.kit.audio_requests import SAY, SPEECH, VOICES, web
from tests.kit.client import SERVER_VAD, calling
from tests.kit.gateway import Gateway, Workers, calls_tool, gateway

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.telemetry.trace_ids import trace_id_of

pytestmark = pytest.mark.requirement("A12.4", "A13")

HEADERS = ("x-correlation-id", "x-request-id")
OWN = "ticket-a17"


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("path", ["/health", "/v1/models", "/nowhere"])
async def test_every_answer_has_the_id_of_its_request(served: Gateway, name: str, path: str) -> None:
    async with httpx.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{served.port}") as http:
        given = await http.get(path, headers={name: OWN})
        made = await http.get(path, headers={name: "+14155550163"})  # may be a telephone number
    assert [given.headers[each] for each in HEADERS] == [OWN, OWN]
    assert len({made.headers[each] for each in HEADERS}) == 1 and re.fullmatch("[0-9a-f]{32}", made.headers[name])


@pytest.mark.parametrize("given", ["", OWN])
async def test_the_workers_of_a_call_name_its_tenant_its_session_and_its_id(
    served: Gateway, workers: Workers, given: str
) -> None:
    workers.writes = calls_tool("get_delivery_status", '{"tracking_id":"AB123456"}', then="It was delivered.")
    headers = {"X-Correlation-ID": given} if given else {}
    async with calling(served.url(), additional_headers=headers) as client:
        session_id = client.events[0]["session"]["id"]
        await client.use(audio=SERVER_VAD)
        await client.speak()
        await client.until("response.done")
    trace_id = trace_id_of(session_id)
    wanted = {"tenant_id": "default", "session_id": session_id, "trace_id": trace_id}
    assert {kind.value for kind, _ in workers.taken} == {"stt", "llm", "tool", "tts"}
    assert all(ids == {**wanted, "correlation_id": given or trace_id} for ids in workers.ids)


async def test_the_workers_of_a_rest_request_have_its_id(redis_broker: RedisBroker, workers: Workers) -> None:
    async with gateway(redis_broker, voices=VOICES) as served, web(served) as http:
        answer = await http.post(SPEECH, json=SAY, headers={"X-Request-ID": OWN})
    assert answer.headers["x-correlation-id"] == OWN
    assert {ids["correlation_id"] for ids in workers.ids} == {OWN}
    assert {ids["tenant_id"] for ids in workers.ids} == {"default"}
