"""What `/v1/audio` refuses: each wrong field, form and file gets one typed error that names it and says what is possible."""

from typing import Any

import numpy as np
import pytest
from tests.kit.audio_requests import SAY, SPEECH, TRANSCRIPTIONS, VOICES, transcribe, web
from tests.kit.gateway import Workers, gateway
from tests.kit.sound_files import file_of

from agentvoicebox.broker.redis_streams import RedisBroker

pytestmark = pytest.mark.requirement("C9")

WRONG_SPEECH: list[tuple[dict[str, Any], str, str | None, str]] = [
    ({"model": None}, "missing_required_parameter", "model", "model"),
    ({"input": None}, "missing_required_parameter", "input", "input"),
    ({"voice": None}, "missing_required_parameter", "voice", "voice"),
    ({"input": ""}, "invalid_value", "input", "words"),
    ({"input": " \n "}, "invalid_value", "input", "words"),
    ({"input": 7}, "invalid_value", "input", "string"),
    ({"input": "x" * 4_097}, "string_above_max_length", "input", "4,096"),
    ({"voice": "nobody"}, "invalid_value", "voice", "joe, alloy"),
    ({"voice": {"id": "nobody"}}, "invalid_value", "voice", "joe, alloy"),
    ({"voice": {"name": "alloy"}}, "unknown_parameter", "voice.name", "name"),
    ({"voice": ["alloy"]}, "invalid_value", "voice", "string"),
    ({"response_format": "aac"}, "invalid_value", "response_format", "'mp3', 'opus', 'flac', 'wav', 'pcm'"),
    ({"response_format": ""}, "invalid_value", "response_format", "'wav'"),
    ({"speed": 0.2}, "invalid_value", "speed", "0.25 and 2"),
    ({"speed": 2.1}, "invalid_value", "speed", "0.25 and 2"),
    ({"speed": True}, "invalid_value", "speed", "number"),
    ({"stream_format": "ws"}, "invalid_value", "stream_format", "'sse'"),
    ({"instructions": "x" * 5_000}, "string_above_max_length", "instructions", "4,096"),
    ({"model": "x" * 129}, "string_above_max_length", "model", "128"),
    ({"colour": "red"}, "unknown_parameter", "colour", "colour"),
]


@pytest.mark.parametrize(("change", "code", "param", "told"), WRONG_SPEECH)
async def test_a_wrong_field_of_speech_gets_one_error_that_names_it(
    redis_broker: RedisBroker, change: dict[str, Any], code: str, param: str | None, told: str
) -> None:
    async with gateway(redis_broker, voices=VOICES) as served, web(served) as http:
        body = {name: value for name, value in {**SAY, **change}.items() if value is not None}
        answer = await http.post(SPEECH, json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, code, param)
    assert told in error["message"] and error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"", "invalid_value"), (b"{", "invalid_json"), (b"[]", "invalid_value"), (b"\xff", "invalid_json")],
)
async def test_a_body_that_is_no_object_is_refused(redis_broker: RedisBroker, body: bytes, code: str) -> None:
    async with gateway(redis_broker) as served, web(served) as http:
        answer = await http.post(SPEECH, content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


WRONG_FIELDS: list[tuple[dict[str, Any], str, str, str]] = [
    ({"model": ""}, "invalid_value", "model", "Name a model"),
    ({"response_format": "diarized_json"}, "invalid_value", "response_format", "'verbose_json'"),
    ({"language": "12"}, "invalid_value", "language", "'en'"),
    ({"language": "en; drop"}, "invalid_value", "language", "'en'"),
    ({"temperature": "2"}, "invalid_value", "temperature", "0 and 1"),
    ({"temperature": "warm"}, "invalid_value", "temperature", "0 and 1"),
    ({"temperature": "nan"}, "invalid_value", "temperature", "0 and 1"),
    ({"timestamp_granularities[]": "word"}, "invalid_value", "timestamp_granularities[]", "segment"),
    ({"timestamp_granularities[]": ["segment", "word"]}, "invalid_value", "timestamp_granularities[]", "segment"),
    ({"include[]": "logprobs"}, "invalid_value", "include[]", "log probabilities"),
    ({"stream": "maybe"}, "invalid_value", "stream", "'true'"),
    ({"stream": "true", "response_format": "srt"}, "invalid_value", "stream", "'json'"),
    ({"prompt": "x" * 17_000}, "string_above_max_length", "prompt", "16,384"),
    ({"chunking_strategy": "never"}, "invalid_value", "chunking_strategy", "auto"),
    ({"colour": "red"}, "unknown_parameter", "colour", "colour"),
    ({"model": ["a", "b"]}, "invalid_value", "model", "once"),
]


@pytest.mark.parametrize(("change", "code", "param", "told"), WRONG_FIELDS)
async def test_a_wrong_field_of_a_form_gets_one_error_that_names_it(
    redis_broker: RedisBroker, recording: bytes, change: dict[str, Any], code: str, param: str, told: str
) -> None:
    async with gateway(redis_broker) as served, web(served) as http:
        answer = await transcribe(http, recording, **change)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, code, param)
    assert told in error["message"]


@pytest.mark.parametrize(
    ("file", "told"),
    [
        (b"", "empty"),
        (b"no audio at all", "WAV, FLAC, MP3"),
        (b"\x00\x00\x00\x20ftypM4A " + bytes(4_000), "WAV, FLAC, MP3"),
        (b"\x1aE\xdf\xa3" + bytes(4_000), "WAV, FLAC, MP3"),
        (file_of(np.zeros(0, np.int16)), "no audio"),
        (file_of(np.zeros((24, 9), np.int16)), "9 channels"),
        (file_of(np.zeros(2_000, np.int16), rate_hz=1_000), "1000 Hz"),
        (file_of(np.zeros(20_000, np.int16), rate_hz=22_051), "22051 Hz"),
        (file_of(np.zeros(3_601 * 4_000, np.int16), "flac", 4_000), "60 minutes"),
    ],
)
async def test_a_file_that_is_no_recording_is_refused_with_what_is_wrong(
    redis_broker: RedisBroker, workers: Workers, file: bytes, told: str
) -> None:
    async with gateway(redis_broker) as served, web(served) as http:
        answer = await transcribe(http, file)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_value", "file"), error
    assert told in error["message"]


async def test_a_damaged_form_is_refused(redis_broker: RedisBroker, recording: bytes) -> None:
    async with gateway(redis_broker) as served, web(served) as http:
        form = {"content-type": "multipart/form-data; boundary=b"}
        head = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n'
        bodies = {
            "broken off": head % b"file" + recording[:5_000],
            "damaged": b"--c\r\n\r\n",
            "more than one": head % b"file" + b"x\r\n" + head % b"file" + b"x\r\n--b--\r\n",
            "'file'": head % b"model" + b"whisper-1\r\n--b--\r\n",
            "UTF-8": head % b"model" + b"\xff\r\n--b--\r\n",
            "more than 64": (head % b"model" + b"x\r\n") * 65 + b"--b--\r\n",
        }
        for told, body in bodies.items():
            answer = await http.post(TRANSCRIPTIONS, content=body, headers=form)
            assert answer.status_code == 400 and told in answer.json()["error"]["message"], answer.text
        answer = await http.post(TRANSCRIPTIONS, json={"model": "whisper-1"})
        assert answer.status_code == 400 and "multipart" in answer.json()["error"]["message"]
        answer = await http.post(TRANSCRIPTIONS, content=head % b"prompt" + bytes(70_000), headers=form)
        assert answer.status_code == 413
        endless = head % b"file" + b"x\r\n--b--\r\n" + bytes(27 * 1024 * 1024)
        answer = await http.post(TRANSCRIPTIONS, content=endless, headers=form)
        assert answer.status_code == 413


async def test_a_file_beyond_the_limit_is_refused_while_it_comes(redis_broker: RedisBroker) -> None:
    async with gateway(redis_broker) as served, web(served) as http:
        answer = await transcribe(http, bytes(25 * 1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


async def test_translations_are_refused_with_the_way_to_transcripts(redis_broker: RedisBroker) -> None:
    async with gateway(redis_broker) as served, web(served) as http:
        answer = await http.post("/v1/audio/translations", files={"file": b"x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_url")
    assert TRANSCRIPTIONS in answer.json()["error"]["message"]
