"""Spans of a turn: made from its own times, nested as the work was, and the parts of the wait sum to it exactly."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from tests.kit.told_tap import GENERATE, Told, audio, record

from agentvoicebox.engine import effects as fx
from agentvoicebox.engine import inputs as i
from agentvoicebox.engine.jobs import CallTool, Generate, Synthesise
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.telemetry.spans import CallFacts, SpanFacts, TurnEnd, call_span, turn_spans
from agentvoicebox.telemetry.tap import PARTS
from agentvoicebox.telemetry.trace_ids import is_sampled, span_id_of, trace_id_of
from agentvoicebox.telemetry.turn_account import TurnAccount
from agentvoicebox.wire.audio_config import AudioFormat
from agentvoicebox.wire.response import (
    InputTokens,
    OutputTokens,
    Response,
    ResponseAudio,
    ResponseAudioOutput,
    ResponseError,
    StatusDetails,
    Usage,
)

pytestmark = pytest.mark.requirement("A13")

CALL = CallFacts("acme", "sess_1", "delivery", opened_s=-10.0, dialect="ga")
COMPLETED = TurnEnd("completed", input_tokens=40, output_tokens=8)
SPEAK = fx.OpenJob("tts", Synthesise("resp_1", "Hello.", "alloy"))
WORDS = "Hello."


def account_of(told: Told, at_s: float) -> TurnAccount:
    account = told.tap.account("resp_1", at_s)
    assert account is not None
    return account


def answered() -> Told:
    """Endpoint after 300 ms, words after 400, text after 420, sound after 482."""
    told = Told()
    told.stop(0.300)
    told.heard(0.400, fx.OpenJob("llm", GENERATE), final=True)
    told.write(0.420, 0.405, SPEAK)
    told.speak(0.480, 0.430, audio())
    told.tap.output_left("resp_1", 0.482)
    return told


def with_tool() -> Told:
    told = Told()
    told.stop(0.300)
    told.heard(0.400, fx.OpenJob("llm", GENERATE), final=True)
    told.write(0.420, 0.405, fx.OpenJob("tool", CallTool("resp_1", "call_7", "get_delivery_status", "{}")))
    returned = i.ToolReturned("tool", "{}")
    again = fx.OpenJob("llm2", Generate("resp_1", "dialogue", "", ()))
    told.at(0.520, returned, again, of=record("tool", JobKind.TOOL, 0.421, 0.519))
    told.write(0.540, 0.521, SPEAK, job="llm2")
    told.speak(0.600, 0.541, audio())
    told.tap.output_left("resp_1", 0.601)
    return told


def ms(span: SpanFacts) -> tuple[float, float]:
    return span.start_ns / 1e6, span.end_ns / 1e6


def named(spans: list[SpanFacts], name: str) -> SpanFacts:
    (found,) = [span for span in spans if span.name == name]
    return found


def check_nesting(spans: list[SpanFacts]) -> None:
    """What holds for every turn."""
    turn = spans[0]
    by_id = {span.span_id: span for span in spans}
    assert len(by_id) == len(spans)
    assert turn.name == "turn" and turn.parent_id == span_id_of("call", "sess_1")
    assert {span.trace_id for span in spans} == {trace_id_of("sess_1")}
    for span in spans[1:]:
        assert span.parent_id in by_id
        assert span.start_ns <= span.end_ns
    waits = [span for span in spans if span.name == "wait"]
    for wait in waits:
        pieces = [span for span in spans if span.parent_id == wait.span_id]
        assert {piece.name for piece in pieces} <= set(PARTS)
        assert pieces[0].start_ns == wait.start_ns and pieces[-1].end_ns == wait.end_ns
        assert all(one.end_ns == next_one.start_ns for one, next_one in pairwise(pieces))
        assert turn.start_ns == wait.start_ns and wait.end_ns <= turn.end_ns


def test_a_turn_has_its_wait_with_the_parts_of_the_ledger_and_its_jobs() -> None:
    told = answered()
    account = account_of(told, 0.900)
    ledger = told.tap.response_over("resp_1", 0.900)
    spans = turn_spans(CALL, account, COMPLETED)
    check_nesting(spans)
    turn, wait = spans[0], named(spans, "wait")
    assert ms(turn) == (0, 900) and ms(wait) == (0, 482)
    parts: Counter[str] = Counter()
    for piece in (span for span in spans if span.parent_id == wait.span_id):
        parts[piece.name] += (piece.end_ns - piece.start_ns) // 1_000
    assert ledger is not None
    assert parts == {part: round(took_ms * 1_000) for part, took_ms in ledger["parts_ms"].items() if took_ms}
    assert turn.attributes["gen_ai.usage.output_tokens"] == 8
    assert turn.attributes["avb.turn.wait_ms"] == ledger["total_ms"] == 482.0
    chat, speech = named(spans, "chat dialogue"), named(spans, "speech")
    assert chat.parent_id == speech.parent_id == turn.span_id
    assert chat.attributes["gen_ai.response.time_to_first_chunk"] == pytest.approx(0.014)
    assert ms(speech) == (430, 479) and speech.attributes["avb.voice"] == "alloy"


def test_a_tool_call_is_a_span_of_its_own_between_two_of_the_language_model() -> None:
    spans = turn_spans(CALL, account_of(with_tool(), 1.0), COMPLETED)
    check_nesting(spans)
    tool = named(spans, "execute_tool get_delivery_status")
    assert ms(tool) == (421, 519)
    assert (tool.attributes["gen_ai.operation.name"], tool.attributes["gen_ai.tool.call.id"]) == (
        "execute_tool",
        "call_7",
    )
    first, second = sorted(span.start_ns for span in spans if span.name == "chat dialogue")
    assert first < tool.start_ns < tool.end_ns < second
    assert "tool" in {span.name for span in spans if span.parent_id == named(spans, "wait").span_id}


def test_an_interrupted_turn_says_so_and_is_no_error() -> None:
    told = answered()
    told.at(0.690, i.SpeechStarted(30_000), fx.CancelJob("tts"))
    spans = turn_spans(CALL, account_of(told, 0.700), TurnEnd("cancelled", "turn_detected"))
    check_nesting(spans)
    assert (
        ms(named(spans, "speech")) == (430, 690) and named(spans, "speech").attributes["avb.job.is_cancelled"] is True
    )
    assert "avb.job.is_cancelled" not in named(spans, "chat dialogue").attributes
    assert spans[0].attributes["avb.turn.is_interrupted"] is True
    assert spans[0].attributes["avb.response.status"] == "cancelled"
    assert not spans[0].error and ms(spans[0]) == (0, 700)


def test_a_turn_that_failed_before_any_output_has_its_jobs_and_the_code_but_no_wait() -> None:
    told = Told()
    told.stop(0.300)
    told.heard(0.400, fx.OpenJob("llm", GENERATE), final=True)
    failed = i.JobFailed("llm", "provider_unavailable", WORDS)
    told.at(0.500, failed, of=record("llm", JobKind.LLM, 0.405, 0.499))
    spans = turn_spans(CALL, account_of(told, 0.510), TurnEnd("failed", error="provider_unavailable"))
    check_nesting(spans)
    assert [span.name for span in spans] == ["turn", "chat dialogue"]
    assert spans[0].error == spans[0].attributes["error.type"] == "provider_unavailable"
    assert ms(spans[0]) == (400, 510)


def test_a_speculation_that_was_dropped_leaves_nothing_behind() -> None:
    told = Told()
    told.pause()
    told.heard(0.200, fx.OpenJob("llm", GENERATE))
    told.at(0.210, i.SpeechResumed(), fx.CancelJob("llm"))
    told.at(2.0, i.SpeechStarted(60_000))
    assert told.tap.account("resp_1", 2.1) is None


def test_a_response_without_output_or_job_is_no_turn() -> None:
    assert answered().tap.account("resp_2", 1.0) is None


def test_the_call_is_the_root_and_every_gateway_finds_its_ids_again() -> None:
    root = call_span(CALL, 20.0, turns=2)
    assert (root.parent_id, root.span_id, root.trace_id) == ("", span_id_of("call", "sess_1"), trace_id_of("sess_1"))
    assert ms(root) == (-10_000, 20_000) and root.attributes["avb.call.turns"] == 2
    assert len(root.trace_id) == 32 and len(root.span_id) == 16
    twice = [turn_spans(CALL, account_of(answered(), 0.9), COMPLETED) for _ in range(2)]
    assert twice[0] == twice[1]


def test_the_id_of_a_trace_is_fixed_for_log_lines_and_exemplars() -> None:
    # sha256("avb trace sess_1"), the first 16 bytes: other processes and later versions must find the same.
    assert trace_id_of("sess_1") == "cbd1f3e43c758fad9d951e3812c8e6e0"


def test_names_of_attributes_are_opentelemetrys_or_ours() -> None:
    known = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
    spans = [*turn_spans(CALL, account_of(with_tool(), 1.0), TurnEnd("failed", "x", "y")), call_span(CALL, 1.0, 1)]
    used = {name for span in spans for name in span.attributes}
    assert {name for name in used if name.startswith("gen_ai.")} <= known
    assert {name for name in used if not name.startswith(("gen_ai.", "avb."))} == {"error.type"}


def test_no_attribute_holds_a_word_of_the_conversation() -> None:
    spans = turn_spans(CALL, account_of(with_tool(), 1.0), COMPLETED)
    assert WORDS not in str(spans) and "hi" not in {str(v) for span in spans for v in span.attributes.values()}


def test_the_end_of_a_response_is_read_without_its_words() -> None:
    response = Response(
        id="resp_1",
        status="failed",
        status_details=StatusDetails(
            type="failed", error=ResponseError(type="server_error", code="job_timeout", message=WORDS)
        ),
        audio=ResponseAudio(output=ResponseAudioOutput(format=AudioFormat(), voice="alloy")),
        usage=Usage(
            total_tokens=5,
            input_tokens=3,
            output_tokens=2,
            input_token_details=InputTokens(),
            output_token_details=OutputTokens(),
        ),
        metadata={"caller": WORDS},
    )
    end = TurnEnd.of(response)
    assert end == TurnEnd("failed", error="job_timeout", input_tokens=3, output_tokens=2)


@given(ratio=st.floats(0, 1), number=st.integers(0, 1_000))
def test_a_call_is_sampled_by_its_id_alone_and_more_calls_are_at_a_higher_ratio(ratio: float, number: int) -> None:
    trace_id = trace_id_of(f"sess_{number}")
    assert not is_sampled(trace_id, 0) and is_sampled(trace_id, 1)
    if is_sampled(trace_id, ratio):
        assert is_sampled(trace_id, min(1.0, ratio + 0.1))


def test_about_as_many_calls_are_sampled_as_are_wanted() -> None:
    sampled = sum(is_sampled(trace_id_of(f"sess_{number}"), 0.25) for number in range(4_000))
    assert 900 <= sampled <= 1_100


times = st.lists(st.floats(-0.5, 1.5, allow_nan=False), min_size=9, max_size=9)


@given(times, st.booleans())
def test_whatever_the_clocks_say_spans_nest_and_the_parts_sum_to_the_wait(at: list[float], speculates: bool) -> None:
    """Stamps in any order, as from workers whose clocks are wrong."""
    told = Told()
    if speculates:
        told.pause()
        told.heard(at[0], fx.OpenJob("llm", GENERATE))
        told.stop(at[1])
    else:
        told.stop(at[1])
        told.heard(at[0], fx.OpenJob("llm", GENERATE), final=True)
    told.write(at[2], at[3], SPEAK)
    told.speak(at[4], at[5], audio())
    told.tap.output_left("resp_1", at[6])
    account = account_of(told, at[7])
    ledger = told.tap.response_over("resp_1", at[7])
    assert ledger is not None
    spans = turn_spans(CALL, account, COMPLETED)
    check_nesting(spans)
    assert sum(piece.end_us - piece.start_us for piece in account.path) == round(ledger["total_ms"] * 1_000)
