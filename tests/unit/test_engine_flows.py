"""The engine keeps the event orders of the protocol page (§5), and what the caller heard is what the context holds."""

from typing import Any

import pytest
from tests.kit.conversation import LOOKUP, Call, Talk

from agentvoicebox.engine import effects as fx
from agentvoicebox.engine import inputs as i
from agentvoicebox.engine import rules
from agentvoicebox.engine.jobs import Synthesise
from agentvoicebox.engine.session import Engine
from agentvoicebox.wire import client_events as ce
from agentvoicebox.wire.items import FunctionCallOutputItem, InputText, MessageItem
from agentvoicebox.wire.session_config import TurnDetection

SPOKEN_ANSWER = [
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]
USER_ITEM = ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"]
CANCELLED_ANSWER = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]


def user(text: str, **kwargs: Any) -> MessageItem:
    return MessageItem(role="user", content=(InputText(text=text),), **kwargs)


def test_the_first_event_is_session_created() -> None:
    talk = Talk()
    assert talk.events == ["session.created"]


def test_a_text_turn_keeps_the_order_of_flow_b() -> None:
    talk = Talk(modality="text")
    talk.clear()
    talk.client(ce.ConversationItemCreate(item=user("Hello")))
    talk.client(ce.ResponseCreate())
    talk.model("Hi there.")
    assert talk.events == [
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]


def test_a_spoken_turn_keeps_the_order_of_flow_a() -> None:
    talk = Talk()
    talk.clear()
    talk.speech(0, 16_000, "Where is my parcel?", is_speculated=False)
    talk.model("Which number?")
    talk.voice(12_000)
    assert talk.events == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        *USER_ITEM,
        "response.created",
        *SPOKEN_ANSWER,
    ]


def test_speculation_shows_nothing_before_the_turn_is_certain_and_everything_after_in_the_same_order() -> None:
    talk = Talk(transcription=True)
    talk.clear()
    talk.give(i.SpeechStarted(0))
    talk.give(i.SpeechPaused(16_000))
    talk.transcribe("Where is my parcel?", 16_000)
    talk.model("Which number?")
    talk.voice(12_000)
    assert talk.events == ["input_audio_buffer.speech_started"]
    talk.give(i.SpeechStopped(21_000, 16_000))
    assert talk.events == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        *USER_ITEM,
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
        "response.created",
        *SPOKEN_ANSWER,
    ]
    added = [e for e in talk.sent if e.__struct_config__.tag == "conversation.item.added"]
    assert added[1].previous_item_id == added[0].item.id


def test_resumed_speech_drops_the_speculation_without_a_trace() -> None:
    talk = Talk()
    talk.give(i.SpeechStarted(0))
    talk.give(i.SpeechPaused(16_000))
    talk.transcribe("Where is", 16_000)
    talk.model("Which number?")
    job = talk.open_job("speak")
    before = len(talk.sent)
    talk.give(i.SpeechResumed())
    assert fx.CancelJob(job.job_id) in talk.effects
    assert len(talk.sent) == before
    assert talk.engine.state.conversation.entries == []
    assert talk.engine.state.responses == {}


def test_a_read_only_tool_may_run_before_the_turn_is_certain_and_others_wait() -> None:
    for is_read_only in (True, False):
        talk = Talk(tool_is_read_only=is_read_only)
        talk.give(i.SpeechStarted(0))
        talk.give(i.SpeechPaused(16_000))
        talk.transcribe("Where is one two three?", 16_000)
        talk.model(calls=[Call(LOOKUP, '{"tracking_id":"123"}')])
        assert (talk.open_job("call_tool", missing_ok=True) is not None) is is_read_only
        talk.give(i.SpeechStopped(21_000, 16_000))
        talk.tool('{"speech":"It is here."}')
        talk.model("It is here.")
        talk.voice(4_000)
        assert talk.events[-1] == "response.done"


def test_a_server_tool_stays_inside_one_response_and_off_the_wire() -> None:
    talk = Talk()
    talk.speech(0, 16_000, "Where is one two three?")
    talk.model("Let me check. ", calls=[Call(LOOKUP, '{"tracking_id":"123"}')])
    talk.voice(4_000)
    talk.tool('{"speech":"It is here."}')
    request = talk.open_job("generate").request
    assert [m.role for m in request.messages] == ["user", "assistant", "tool"]
    assert request.messages[1].text == "Let me check."
    talk.model("It is here.")
    talk.voice(4_000)
    assert talk.events.count("response.created") == 1
    assert talk.events.count("response.done") == 1
    done = talk.sent[-1].response
    assert [item.content[0].transcript for item in done.output] == ["Let me check. It is here."]
    assert not any("function_call" in event for event in talk.events)
    roles = [m.role for m in talk.engine.state.conversation.messages()]
    assert roles == ["user", "assistant", "tool", "assistant"]


def test_a_client_function_call_keeps_the_order_of_flow_d() -> None:
    talk = Talk(client_tool="open_door", modality="text")
    talk.client(ce.ConversationItemCreate(item=user("Open the door")))
    talk.client(ce.ResponseCreate())
    talk.clear()
    talk.model(calls=[Call("open_door", '{"door"', ":1}")])
    assert talk.events == [
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    call = talk.sent[-1].response.output[0]
    assert (call.name, call.arguments, call.status) == ("open_door", '{"door":1}', "completed")
    talk.clear()
    talk.client(ce.ConversationItemCreate(item=FunctionCallOutputItem(call_id=call.call_id, output="open")))
    assert talk.events == ["conversation.item.added", "conversation.item.done"]
    talk.client(ce.ResponseCreate())
    request = talk.open_job("generate").request
    assert [m.role for m in request.messages] == ["user", "assistant", "tool"]


def test_barge_in_keeps_the_order_of_flow_e() -> None:
    talk = Talk()
    talk.speech(0, 16_000, "Hello")
    talk.model("One two three four five six. Seven eight nine ten.")
    talk.chunk(24_000)
    talk.clear()
    talk.wait(0.5)
    talk.give(i.SpeechStarted(40_000))
    assert talk.events == ["input_audio_buffer.speech_started", *CANCELLED_ANSWER]
    response = talk.sent[-1].response
    assert response.status == "cancelled"
    assert response.status_details.reason == "turn_detected"
    assert response.output[0].status == "incomplete"


def test_a_late_chunk_of_a_cancelled_response_is_silent() -> None:
    talk = Talk()
    talk.speech(0, 16_000, "Hello")
    talk.model("One two three four five six.")
    job = talk.open_job("speak")
    talk.chunk(2_400)
    talk.client(ce.ResponseCancel())
    talk.clear()
    talk.give(i.AudioSynthesised(job.job_id, 2, 2_400))
    talk.give(i.SynthesisDone(job.job_id))
    assert talk.events == []
    assert talk.effects == []


def test_the_context_holds_exactly_the_words_that_were_heard() -> None:
    talk = Talk()
    talk.speech(0, 16_000, "Hello")
    talk.model("Your parcel is in Berlin. It comes tomorrow.")
    talk.voice(48_000, 24_000)  # two segments: 2 s and 1 s
    talk.wait(1.0)  # the caller heard the first half of the first sentence
    talk.give(i.SpeechStarted(60_000))
    heard = talk.engine.state.conversation.messages()[-1]
    assert heard.role == "assistant"
    assert heard.text == "Your parcel"
    item_id = talk.engine.state.conversation.last_id()
    assert item_id is not None
    talk.client(ce.ConversationItemTruncate(item_id=item_id, audio_end_ms=2_000))
    assert talk.engine.state.conversation.messages()[-1].text == "Your parcel is in Berlin."
    assert talk.events[-1] == "conversation.item.truncated"


def test_an_overlong_truncate_keeps_all_and_is_acknowledged() -> None:
    talk = Talk()
    talk.speech(0, 16_000, "Hello")
    talk.model("Your parcel is in Berlin.")
    talk.voice(24_000)
    item_id = talk.engine.state.conversation.last_id()
    assert item_id is not None
    talk.client(ce.ConversationItemTruncate(item_id=item_id, audio_end_ms=99_000))
    assert talk.events[-1] == "conversation.item.truncated"
    assert talk.engine.state.conversation.messages()[-1].text == "Your parcel is in Berlin."


def test_push_to_talk_commits_without_answering_until_asked() -> None:
    talk = Talk(turn_detection=None)
    talk.clear()
    talk.give(i.AudioArrived(0))
    assert talk.open_job("transcribe").request.start_sample == 0
    talk.client(ce.InputAudioBufferCommit(), at_sample=16_000)
    assert talk.events == USER_ITEM
    talk.client(ce.ResponseCreate())
    assert talk.events[-1] == "response.created"
    assert talk.open_job("generate", missing_ok=True) is None  # the words are not known yet
    talk.transcribe("Hello", 16_000, is_final=True)
    assert talk.open_job("generate").request.messages[-1].text == "Hello"


def test_a_commit_below_100_ms_is_refused_and_names_both_durations() -> None:
    talk = Talk(turn_detection=None)
    talk.give(i.AudioArrived(0))
    talk.clear()
    talk.client(ce.InputAudioBufferCommit(event_id="mine"), at_sample=800)
    error = talk.sent[-1].error
    assert (error.code, error.event_id) == ("input_audio_buffer_commit_empty", "mine")
    assert "100ms" in error.message and "50.00ms" in error.message


def test_clear_forgets_the_turn_and_its_job() -> None:
    talk = Talk()
    talk.give(i.SpeechStarted(0))
    job = talk.open_job("transcribe")
    talk.client(ce.InputAudioBufferClear(), at_sample=8_000)
    assert talk.events[-1] == "input_audio_buffer.cleared"
    assert fx.CancelJob(job.job_id) in talk.effects
    talk.clear()
    talk.give(i.SpeechStopped(16_000, 12_000))
    assert talk.events == []


def test_a_second_response_is_refused_with_the_event_id_and_the_active_one_named() -> None:
    talk = Talk(modality="text")
    talk.client(ce.ResponseCreate())
    active = talk.sent[-1].response.id
    talk.client(ce.ResponseCreate(event_id="second"))
    error = talk.sent[-1].error
    assert (error.code, error.event_id) == ("conversation_already_has_active_response", "second")
    assert active in error.message


def test_an_out_of_band_response_leaves_the_conversation_alone() -> None:
    talk = Talk(modality="text")
    talk.client(ce.ConversationItemCreate(item=user("Hello")))
    talk.client(ce.ResponseCreate())
    talk.clear()
    talk.client(ce.ResponseCreate(response=ce.ResponseOptions(conversation="none", metadata={"topic": "mood"})))
    assert talk.sent[-1].response.conversation_id is None
    assert talk.sent[-1].response.metadata == {"topic": "mood"}
    talk.model("Cheerful.", job=talk.jobs[-1].job_id)
    assert "conversation.item.added" not in talk.events
    assert talk.events[-1] == "response.done"
    assert len(talk.engine.state.conversation.entries) == 1


def test_per_response_options_do_not_alter_the_session() -> None:
    talk = Talk(modality="text")
    options = ce.ResponseOptions(instructions="Be brief.", input=(user("Only this"),), max_output_tokens=7)
    talk.client(ce.ResponseCreate(response=options))
    request = talk.open_job("generate").request
    assert request.instructions == "Be brief."
    assert request.max_output_tokens == 7
    assert [m.text for m in request.messages] == ["Only this"]
    assert talk.engine.state.config.instructions != "Be brief."


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (ce.ConversationItemRetrieve(item_id="nope"), "item_retrieve_invalid_item_id"),
        (ce.ConversationItemDelete(item_id="nope"), "item_delete_invalid_item_id"),
        (ce.ConversationItemTruncate(item_id="nope", audio_end_ms=0), "item_truncate_invalid_item_id"),
        (ce.ConversationItemCreate(item=user("x"), previous_item_id="nope"), "item_create_invalid_previous_item_id"),
        (
            ce.ConversationItemCreate(item=FunctionCallOutputItem(call_id="nope", output="x")),
            "invalid_tool_call_id",
        ),
        (ce.ResponseCancel(), "response_cancel_not_active"),
    ],
)
def test_each_mistake_has_its_code_and_the_session_lives(event: ce.ClientEvent, code: str) -> None:
    talk = Talk()
    talk.clear()
    talk.client(event)
    assert [e.error.code for e in talk.sent] == [code]
    assert not talk.engine.is_closed


def test_items_go_where_the_client_wants_them() -> None:
    talk = Talk()
    talk.client(ce.ConversationItemCreate(item=user("b", id="b")))
    talk.client(ce.ConversationItemCreate(item=user("a", id="a"), previous_item_id="root"))
    talk.client(ce.ConversationItemCreate(item=user("ab", id="ab"), previous_item_id="a"))
    assert [e.item.id for e in talk.engine.state.conversation.entries] == ["a", "ab", "b"]
    added = [e for e in talk.sent if e.__struct_config__.tag == "conversation.item.added"]
    assert [e.previous_item_id for e in added] == [None, None, "a"]


def test_an_item_cannot_follow_a_turn_that_is_not_committed() -> None:
    talk = Talk()
    talk.give(i.SpeechStarted(0))
    item_id = talk.sent[-1].item_id
    talk.give(i.SpeechPaused(16_000))
    talk.transcribe("Where is my parcel?", 16_000)  # a provisional item with this id
    talk.client(ce.ConversationItemCreate(item=user("Hello"), previous_item_id=item_id))
    assert talk.sent[-1].error.code == "item_create_invalid_previous_item_id"


def test_a_failed_language_model_apologises_aloud_and_ends_as_failed() -> None:
    talk = Talk()
    talk.speech(0, 16_000, "Hello")
    job = talk.open_job("generate")
    talk.give(i.JobFailed(job.job_id, "provider_unavailable", "no answer"))
    talk.voice(24_000, 24_000)
    done = talk.sent[-1].response
    assert (done.status, done.status_details.error.code) == ("failed", "provider_unavailable")
    assert "sorry" in done.output[0].content[0].transcript


def test_without_a_voice_the_words_alone_are_sent() -> None:
    talk = Talk()
    talk.speech(0, 16_000, "Hello")
    talk.model("Good day.")
    talk.give(i.JobFailed(talk.open_job("speak").job_id, "provider_unavailable", "no voice"))
    done = talk.sent[-1].response
    assert (done.status, done.output[0].content[0].transcript) == ("completed", "Good day.")


@pytest.mark.parametrize(
    ("has_typed", "rule_version", "request_"),
    [
        (False, rules.PRESENT, "Could you say it again?"),
        (True, rules.PRESENT, "Please say it again, or type it."),
        (False, 2, "Please say it again, or type it."),
    ],
)
def test_a_failed_transcription_is_reported_and_the_call_goes_on(
    has_typed: bool, rule_version: int, request_: str
) -> None:
    talk = Talk(transcription=True, rule_version=rule_version)
    if has_typed:
        talk.client(ce.ConversationItemCreate(item=user("Hello")))
    talk.speech(0, 16_000, None)
    talk.give(i.JobFailed(talk.jobs[0].job_id, "provider_timeout", "too slow"))
    assert "conversation.item.input_audio_transcription.failed" in talk.events
    assert not talk.open_job("generate", missing_ok=True), "no model is asked to answer a turn without a transcript"
    while talk.open_job("speak", missing_ok=True):
        talk.voice(24_000)
    done = talk.sent[-1].response
    assert done.status == "failed" and done.status_details.error.code == "provider_timeout"
    assert done.output[0].content[0].transcript.endswith(request_)


def test_a_client_is_notified_once_of_a_degraded_service_and_of_its_return() -> None:
    talk = Talk()
    for modes in (("speech_synthesis_unavailable",), ("speech_synthesis_unavailable",), ()):
        talk.give(i.ModeChanged(modes))
    degraded = [event.session["degraded"] for event in talk.sent[1:]]
    assert degraded == [["speech_synthesis_unavailable"], []]
    talk.client(ce.SessionUpdate(session={"degraded": ["it is the server's"]}))
    assert "degraded" not in talk.sent[-1].session


def test_an_update_shows_what_does_not_work() -> None:
    talk = Talk()
    talk.give(i.ModeChanged(("records_delayed",)))
    restored = Engine.restore(talk.engine.snapshot())
    for engine in (talk.engine, restored):
        effects = engine.receive(i.ClientEventReceived(ce.SessionUpdate(session={"instructions": "Be kind."}), 0), 1.0)
        assert effects[0].event.session["degraded"] == ["records_delayed"]  # type: ignore[union-attr]


def test_a_transcription_session_writes_down_and_never_answers() -> None:
    talk = Talk(kind="transcription", transcription=True)
    talk.clear()
    talk.speech(0, 16_000, "Take a note.")
    assert talk.events == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        *USER_ITEM,
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
    ]
    talk.client(ce.ResponseCreate())
    assert talk.events[-1] == "error"


def test_silence_for_the_idle_timeout_makes_the_agent_speak_up() -> None:
    talk = Talk(turn_detection=TurnDetection(idle_timeout_ms=5_000))
    talk.speech(0, 16_000, "Hello")
    talk.model("Good day.")
    talk.voice(24_000)
    talk.clear()
    due = talk.engine.deadline()
    assert due is not None and due == pytest.approx(talk.now_s + 1.0 + 5.0)
    talk.wait(due - talk.now_s)
    talk.give(i.TimePassed(at_sample=120_000))
    assert talk.events[:4] == ["input_audio_buffer.timeout_triggered", *USER_ITEM]
    assert talk.events[4] == "response.created"


def test_a_session_ends_when_its_hour_is_over() -> None:
    talk = Talk()
    due = talk.engine.deadline()
    assert due is not None and due == pytest.approx(3_600)
    talk.wait(due)
    talk.give(i.TimePassed())
    assert talk.sent[-1].error.code == "session_expired"
    assert talk.effects[-1] == fx.Close(1001, "Your session hit its maximum duration.")
    assert talk.engine.receive(i.AudioArrived(0), talk.now_s) == []


def test_closing_ends_every_response_with_its_own_terminal() -> None:
    talk = Talk(modality="text")
    talk.client(ce.ResponseCreate())
    talk.client(ce.ResponseCreate(response=ce.ResponseOptions(conversation="none")))
    talk.give(i.Closing("shutdown", 1012))
    assert talk.events.count("response.done") == 2
    assert isinstance(talk.effects[-1], fx.Close)


def synthesised(talk: Talk) -> list[str]:
    """How the texts of the open synthesis jobs begin."""
    return [job.request.text[:6] for job in talk.jobs if isinstance(job.request, Synthesise)]


def test_without_credit_only_the_segment_that_is_due_is_synthesised() -> None:
    talk = Talk()
    talk.speech(0, 16_000, "Hello")
    talk.transcribe("Hello", 16_000, is_final=True)
    talk.model("First sentence here. Second sentence here. Third sentence here. Fourth sentence here.")
    assert synthesised(talk) == ["First ", "Second"]
    talk.voice(24_000 * 30)  # far more than AHEAD_MS
    assert synthesised(talk) == ["Second"]
    talk.voice(24_000 * 30)
    assert synthesised(talk) == ["Third "]
    talk.wait(60.0)
    talk.voice(24_000)
    assert synthesised(talk) == ["Fourth"]


def test_with_credit_the_next_segment_is_synthesised_meanwhile() -> None:
    talk = Talk()
    talk.speech(0, 16_000, "Hello")
    talk.transcribe("Hello", 16_000, is_final=True)
    talk.model("First sentence here. Second sentence here. Third sentence here. Fourth sentence here.")
    talk.voice(24_000 * 8)  # AHEAD_MS to the millisecond
    assert synthesised(talk) == ["Second", "Third "]


def test_the_voice_is_fixed_once_it_has_spoken() -> None:
    talk = Talk()
    talk.speech(0, 16_000, "Hello")
    talk.model("Good day.")
    talk.voice(2_400)
    talk.client(ce.SessionUpdate(session={"type": "realtime", "audio": {"output": {"voice": "other"}}}))
    assert talk.sent[-1].error.code == "cannot_update_voice"


def test_a_turn_goes_on_when_the_detector_is_retuned_in_the_middle_of_it() -> None:
    talk = Talk()
    talk.give(i.SpeechStarted(0))
    detection = {"type": "semantic_vad"}
    talk.client(ce.SessionUpdate(session={"type": "realtime", "audio": {"input": {"turn_detection": detection}}}))
    talk.clear()
    talk.give(i.SpeechPaused(16_000))
    talk.give(i.SpeechStopped(21_000, 16_000))
    assert talk.events[:4] == ["input_audio_buffer.speech_stopped", *USER_ITEM]
