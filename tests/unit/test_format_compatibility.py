"""What two versions say to each other through the store is read by both: a new optional field is ignored by the older one.

A version that is to come is played by a message with one field more, one that is gone by a message without what has a default.
"""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.kit.kits import CHOICE

from agentvoicebox.broker.envelope import unpack_audio, unpack_job, unpack_result
from agentvoicebox.engine.inputs import (
    Generated,
    Input,
    SynthesisDone,
    TextDelta,
    ToolCallDelta,
    Transcribed,
    WorkerInput,
)
from agentvoicebox.engine.jobs import CallTool, ChatMessage, Generate, JobRequest, Synthesise, Transcribe
from agentvoicebox.evals.replay import replay_effects, replay_tools
from agentvoicebox.interactions.day_files import read
from agentvoicebox.storage.records import RecordBatch

pytestmark = pytest.mark.requirement("C13")

FORMATS = Path(__file__).parents[1] / "data" / "formats"
RECORDINGS = sorted(FORMATS.glob("*/interactions.jsonl"))
LINES_OF = {"0e6754a": 42}
REQUESTS: list[JobRequest] = [
    Transcribe("item_1", 0),
    Generate("resp_1", "dialogue", "Be kind.", (ChatMessage("user", "Hello"),)),
    Synthesise("resp_1", "Hello.", "alloy"),
    CallTool("resp_1", "call_1", "look_up", "{}"),
]
RESULTS: list[WorkerInput] = [
    Transcribed("job_1", "Hello", 16_000),
    TextDelta("job_1", "Hello"),
    ToolCallDelta("job_1", 0, "look_up", "{}"),
    Generated("job_1"),
    SynthesisDone("job_1"),
]


def with_one_field_more(message: msgspec.Struct) -> bytes:
    fields: dict[str, Any] = msgspec.msgpack.decode(msgspec.msgpack.encode(message))
    return msgspec.msgpack.encode(fields | {"of_a_later_version": [1]})


def with_required_fields_alone(message: msgspec.Struct) -> bytes:
    fields: dict[str, Any] = msgspec.msgpack.decode(msgspec.msgpack.encode(message))
    required = {each.encode_name for each in msgspec.structs.fields(message) if each.required} | {"type"}
    return msgspec.msgpack.encode({name: value for name, value in fields.items() if name in required})


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda each: type(each).__name__)
def test_a_worker_reads_a_job_of_a_newer_and_of_an_older_gateway(request_: JobRequest) -> None:
    assert msgspec.msgpack.decode(with_one_field_more(request_), type=JobRequest) == request_
    assert msgspec.msgpack.decode(with_required_fields_alone(request_), type=JobRequest) == request_


@pytest.mark.parametrize("result", RESULTS, ids=lambda each: type(each).__name__)
def test_a_gateway_reads_a_result_of_a_newer_and_of_an_older_worker(result: WorkerInput) -> None:
    assert msgspec.msgpack.decode(with_one_field_more(result), type=WorkerInput) == result
    assert msgspec.msgpack.decode(with_required_fields_alone(result), type=WorkerInput) == result
    assert msgspec.msgpack.decode(with_one_field_more(result), type=Input) == result, "an entry of the log"


def test_a_recorder_reads_a_batch_of_a_newer_gateway() -> None:
    batch = RecordBatch("acme", "sess_1")
    assert msgspec.msgpack.decode(with_one_field_more(batch), type=RecordBatch) == batch


def enveloped(header: list[Any], payload: bytes = b"") -> bytes:
    head = msgspec.msgpack.encode(header)
    return len(head).to_bytes(4, "big") + head + payload


def test_a_header_of_a_newer_version_is_longer_and_is_read() -> None:
    job = unpack_job(enveloped(["job_1", "llm", "acme", "sess_1", 1.0, "trace", "more"], b"payload"))
    assert (job.job_id, job.correlation_id, job.payload) == ("job_1", "trace", b"payload")
    record = unpack_result(b"\0\0\0\1" + enveloped(["job_1", "llm", 1, b"body", 1.0, 2.0, True, "more"], b"audio"))
    assert (record.sequence, record.body, record.audio, record.is_last) == (1, b"body", b"audio", True)
    assert unpack_audio(enveloped(["end", 5, 9, "more"])).end_sample == 9
    assert unpack_audio(enveloped(["end", 5])).end_sample is None


# -- recorded interactions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.parent.name)
async def test_interactions_of_a_former_version_are_read_and_replay_to_the_same_effects(path: Path) -> None:
    interactions = list(read(path))
    assert len(interactions) == LINES_OF[path.parent.name]
    assert {each.channel for each in interactions} == {"realtime", "webhook", "rest", "rehearsal"}
    effects = [replay for each in interactions if (replay := replay_effects(each))]
    assert len(effects) == sum(bool(each.log) for each in interactions) > 10
    assert [(each.call_id, each.why) for each in effects if each.verdict != "same"] == []
    tools = [replay for each in interactions for replay in await replay_tools(each, CHOICE.default)]
    assert [(each.call_id, each.why) for each in tools if each.verdict == "different"] == []
    assert sum(each.verdict == "same" for each in tools) > 20
    if path.parent.name == "0e6754a":
        assert {each.format for each in interactions} == {0}
