"""Transcripts in each of their forms, and what a request may hold at its edges."""

import json

import pytest

from agentvoicebox.errors import InvalidEvent
from agentvoicebox.wire.speech_request import SpeechRequest, read_speech_request
from agentvoicebox.wire.transcript import RecordingTranscript, TranscriptSegment, body_of, delta_event, done_event
from agentvoicebox.wire.transcription_request import TranscriptionRequest, read_transcription_request

HELLO, BYE = TranscriptSegment(0.5, 2.25, "Hello there."), TranscriptSegment(3_661.0, 3_662.0004, "Bye.")
TRANSCRIPT = RecordingTranscript((HELLO, BYE), 3_700.4, "en")
SAY = {"model": "tts-1", "input": "Hi.", "voice": "alloy"}


def test_json_holds_the_text_and_what_it_counts_for() -> None:
    told = json.loads(body_of(TRANSCRIPT, "json"))
    assert told == {"text": "Hello there. Bye.", "usage": {"type": "duration", "seconds": 3_700}}


def test_verbose_json_holds_times() -> None:
    told = json.loads(body_of(TRANSCRIPT, "verbose_json"))
    assert (told["task"], told["language"], told["duration"]) == ("transcribe", "en", 3_700.4)
    assert [(each["id"], each["start"], each["end"]) for each in told["segments"]] == [
        (0, 0.5, 2.25),
        (1, 3_661, 3_662),
    ]


def test_subtitles() -> None:
    assert body_of(TRANSCRIPT, "srt").decode() == (
        "1\n00:00:00,500 --> 00:00:02,250\nHello there.\n\n2\n01:01:01,000 --> 01:01:02,000\nBye.\n\n"
    )
    assert body_of(TRANSCRIPT, "vtt").decode() == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:02.250\nHello there.\n\n01:01:01.000 --> 01:01:02.000\nBye.\n\n"
    )


def test_nothing_said_is_an_empty_transcript_in_each_format() -> None:
    empty = RecordingTranscript((), 2.0)
    assert [body_of(empty, format) for format in ("text", "srt", "vtt")] == [b"\n", b"", b"WEBVTT\n\n"]
    assert json.loads(body_of(empty, "json"))["text"] == ""


def test_deltas_add_up_to_the_text() -> None:
    deltas = [delta_event(each.text, is_first=n == 0)["delta"] for n, each in enumerate(TRANSCRIPT.segments)]
    assert "".join(deltas) == done_event(TRANSCRIPT)["text"]


@pytest.mark.parametrize("speed", [0.25, 1, 2.0])
def test_a_speed_at_its_bounds_is_taken(speed: float) -> None:
    assert read_speech_request({**SAY, "speed": speed}, ["alloy"]).speed == speed


def test_a_text_of_exactly_the_longest_length_is_taken() -> None:
    assert len(read_speech_request({**SAY, "input": "x" * 4_096}, ["alloy"]).text) == 4_096


@pytest.mark.parametrize("model", ["tts-1", "tts-1-hd", "gpt-4o-mini-tts", "piper", "что угодно"])
def test_any_model_is_taken(model: str) -> None:
    assert read_speech_request({**SAY, "model": model}, []) == SpeechRequest("Hi.", "alloy")


@pytest.mark.parametrize("language", ["en", "en-US", "english", "zh-Hant-TW", "haw"])
def test_a_language_is_taken_as_the_recogniser_will_read_it(language: str) -> None:
    assert read_transcription_request({"model": ["w"], "language": [language]}).language == language


def test_empty_fields_mean_nothing() -> None:
    fields = {"model": ["w"], "language": [""], "prompt": [""], "temperature": [""], "response_format": [""]}
    assert read_transcription_request(fields) == TranscriptionRequest()


@pytest.mark.parametrize("name", ["model[]", "file[]", "timestamp_granularities[][]", ""])
def test_a_field_in_another_spelling_is_unknown(name: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        read_transcription_request({"model": ["w"], name: ["x"]})
    assert refused.value.code == "unknown_parameter"
