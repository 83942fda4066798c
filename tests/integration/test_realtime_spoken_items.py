"""Audio that comes with an item is heard, and a caller's audio can be had back, over a real socket, gateway and Valkey."""

import base64
from typing import Any

import numpy as np
import pytest
from tests.kit.client import Client, calling
from tests.kit.gateway import Gateway, Workers, tone

from agentvoicebox.audio.g711 import encode_ulaw
from agentvoicebox.audio.pcm import samples_of
from agentvoicebox.audio.resample import resample
from agentvoicebox.engine.jobs import Generate
from agentvoicebox.gateway.call import client_output
from agentvoicebox.ports.broker import JobKind

pytestmark = pytest.mark.requirement("C8")

TEXT_ONLY = {"output_modalities": ["text"], "audio": {"input": {"turn_detection": None}}}


def item(audio: bytes, **more: Any) -> dict[str, Any]:
    part = {"type": "input_audio", "audio": base64.b64encode(audio).decode()}
    return {"type": "message", "role": "user", "content": [part], **more}


def heard_by(workers: Workers) -> np.ndarray:
    """The 16 kHz samples of the only utterance, whose end mark came."""
    (entries,) = workers.heard.values()
    assert [entry.mark for entry in entries][-1] == "end"
    audio = b"".join(entry.pcm for entry in entries if entry.mark == "audio")
    assert entries[-1].end_sample == len(audio) // 2
    return samples_of(audio)


async def read_by_the_model(workers: Workers) -> list[str]:
    (request,) = await workers.wait_for(JobKind.LLM)
    assert isinstance(request, Generate)
    return [message.text for message in request.messages]


@pytest.mark.parametrize("seconds", [0.1, 1.0, 3.5])
async def test_the_audio_of_an_item_is_heard_whole(served: Gateway, workers: Workers, seconds: float) -> None:
    audio = tone(int(seconds * 1000))
    async with calling(served.url()) as client:
        await client.use(**TEXT_ONLY)
        await client.send("conversation.item.create", item=item(audio))
        added = await client.until("conversation.item.added")
        assert "audio" not in added["item"]["content"][0]
        await client.send("response.create")
        await client.until("response.done")
    assert await read_by_the_model(workers) == ["where is my parcel"]
    expected = resample(samples_of(audio), 24_000, 16_000)
    assert np.array_equal(heard_by(workers), expected)


async def test_telephone_audio_of_an_item_is_heard_in_the_session_s_format(served: Gateway, workers: Workers) -> None:
    async with calling(served.url()) as client:
        telephone = {"input": {"turn_detection": None, "format": {"type": "audio/pcmu"}}}
        await client.use(output_modalities=["text"], audio=telephone)
        samples = resample(samples_of(tone(1_000)), 24_000, 8_000)
        await client.send("conversation.item.create", item=item(encode_ulaw(samples)))
        await client.send("response.create")
        await client.until("response.done")
    assert len(heard_by(workers)) == 16_000


async def test_the_audio_in_the_input_of_a_response_is_heard(served: Gateway, workers: Workers) -> None:
    async with calling(served.url()) as client:
        await client.use(**TEXT_ONLY)
        response = {"conversation": "none", "input": [item(tone(500))]}
        await client.send("response.create", response=response)
        await client.until("response.done")
    assert await read_by_the_model(workers) == ["where is my parcel"]


async def test_two_items_in_one_breath_are_each_heard(served: Gateway, workers: Workers) -> None:
    async with calling(served.url()) as client:
        await client.use(**TEXT_ONLY)
        for length in (200, 400):
            await client.send("conversation.item.create", item=item(tone(length)))
        await client.send("response.create")
        await client.until("response.done")
    lengths = sorted(sum(len(e.pcm) // 2 for e in entries) for entries in workers.heard.values())
    assert lengths == [3_200, 6_400]


async def test_words_that_the_client_knows_are_not_recognised_again(served: Gateway, workers: Workers) -> None:
    known = item(tone(500))
    known["content"][0]["transcript"] = "Where is PKG 004?"
    async with calling(served.url()) as client:
        await client.use(**TEXT_ONLY)
        await client.send("conversation.item.create", item=known)
        await client.send("response.create")
        await client.until("response.done")
    assert await read_by_the_model(workers) == ["Where is PKG 004?"]
    assert workers.heard == {}


@pytest.mark.parametrize(("audio", "code"), [("?", "invalid_value"), ("AAAA" * 200_000, "event_too_large")])
async def test_audio_that_is_no_audio_or_too_long_is_one_error(served: Gateway, audio: str, code: str) -> None:
    async with calling(served.url()) as client:
        await client.use(**TEXT_ONLY)
        bad = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": audio}]}
        await client.send("conversation.item.create", item=bad)
        error = await client.until("error")
        assert error["error"]["code"] == code
        await client.use(instructions="still here")


async def test_a_masked_or_recorded_session_never_holds_the_audio(served: Gateway, workers: Workers) -> None:
    sent = base64.b64encode(tone(300)).decode()
    async with calling(served.url()) as client:
        await client.use(**TEXT_ONLY)
        await client.send("conversation.item.create", item=item(tone(300)))
        await client.send("response.create")
        await client.until("response.done")
        for event in client.events:
            assert sent not in str(event)


# -- retrieval --------------------------------------------------------------------------------------------------------


async def retrieved(client: Client, item_id: str) -> dict[str, Any]:
    await client.send("conversation.item.retrieve", item_id=item_id)
    found = await client.until("conversation.item.retrieved")
    part: dict[str, Any] = found["item"]["content"][0]
    return part


async def committed(client: Client, audio: bytes) -> str:
    await client.append(audio)
    await client.send("input_audio_buffer.commit")
    event = await client.until("input_audio_buffer.committed")
    return str(event["item_id"])


@pytest.mark.parametrize(
    ("format", "rate_hz", "sample_bytes"),
    [({"type": "audio/pcm", "rate": 24_000}, 24_000, 2), ({"type": "audio/pcma"}, 8_000, 1)],
)
async def test_a_retrieved_item_has_its_audio(
    served: Gateway, workers: Workers, format: dict[str, Any], rate_hz: int, sample_bytes: int
) -> None:
    async with calling(served.url()) as client:
        await client.use(audio={"input": {"turn_detection": None, "format": format}})
        item_id = await committed(client, bytes(rate_hz * sample_bytes))
        part = await retrieved(client, item_id)
        assert abs(len(base64.b64decode(part["audio"])) - rate_hz * sample_bytes) <= rate_hz * sample_bytes // 100


async def test_what_was_spoken_comes_back_as_it_sounded(served: Gateway, workers: Workers) -> None:
    audio = tone(1_000)
    async with calling(served.url()) as client:
        await client.use(**TEXT_ONLY)
        part = await retrieved(client, await committed(client, audio))
        back, sent = samples_of(base64.b64decode(part["audio"])).astype(float), samples_of(audio).astype(float)
        middle = slice(2_400, 21_600)
        assert np.corrcoef(back[middle], sent[middle])[0, 1] > 0.99


async def test_events_keep_their_order_around_a_retrieved_item(served: Gateway, workers: Workers) -> None:
    async with calling(served.url()) as client:
        await client.use(**TEXT_ONLY)
        item_id = await committed(client, tone(2_000))
        client.events.clear()
        await client.send("conversation.item.retrieve", item_id=item_id)
        await client.send("conversation.item.delete", item_id=item_id)
        await client.until("conversation.item.deleted")
        order = [kind for kind in client.types() if kind.startswith("conversation.item.")]
        assert order[-2:] == ["conversation.item.retrieved", "conversation.item.deleted"]


async def test_more_than_the_allowance_comes_back_without_audio(
    served: Gateway, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_output, "RETRIEVED_BURST_S", 1.5)
    monkeypatch.setattr(client_output, "RETRIEVED_PER_S", 1e-9)
    async with calling(served.url()) as client:
        await client.use(**TEXT_ONLY)
        item_id = await committed(client, tone(1_000))
        assert "audio" in await retrieved(client, item_id)
        assert "audio" not in await retrieved(client, item_id)
