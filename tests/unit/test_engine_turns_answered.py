"""Nobody's words are lost: each turn with words is read by a later generation, and nothing is answered that was not said."""

from typing import Any

import pytest
from tests.kit.conversation import Talk

from agentvoicebox.engine import effects as fx
from agentvoicebox.engine import inputs as i
from agentvoicebox.engine.conversation import NO_IMAGE
from agentvoicebox.engine.jobs import Generate, Synthesise, Transcribe
from agentvoicebox.wire import client_events as ce
from agentvoicebox.wire import server_events as ev
from agentvoicebox.wire.items import InputAudio, InputImage, InputText, ItemReference, MessageItem, OutputText
from agentvoicebox.wire.session_config import TurnDetection

pytestmark = pytest.mark.requirement("C8")

SECOND = 24_000  # samples of output


def read(talk: Talk) -> list[str]:
    """What the user said, as the open generation reads it."""
    request = talk.open_job("generate").request
    assert isinstance(request, Generate)
    return [message.text for message in request.messages if message.role == "user" and message.text]


def responses(talk: Talk) -> list[Any]:
    """Ended responses."""
    return [event.response for event in talk.sent if isinstance(event, ev.ResponseDone)]


def spoken(item_id: str = "item_own", *, audio: int | None = 16_000) -> tuple[MessageItem, tuple[i.ItemAudio, ...]]:
    """An item that came with audio, as the gateway gives it to the engine."""
    item = MessageItem(id=item_id, role="user", content=(InputAudio(),))
    return item, () if audio is None else (i.ItemAudio(0, 7, audio),)


# -- items with audio ------------------------------------------------------------------------------------------------


def test_the_audio_of_an_item_is_transcribed_and_answered() -> None:
    talk = Talk(transcription=True)
    item, audio = spoken()
    talk.give(i.ClientEventReceived(ce.ConversationItemCreate(item=item), 0, audio))
    job = talk.open_job("transcribe")
    assert isinstance(job.request, Transcribe)
    assert (job.request.item_audio_id, job.request.start_sample) == (7, 0)
    talk.client(ce.ResponseCreate())
    assert talk.open_job("generate", missing_ok=True) is None  # it waits for the words
    talk.transcribe("Where is parcel PKG 004?", 16_000, is_final=True)
    assert read(talk) == ["Where is parcel PKG 004?"]
    completed = [e for e in talk.sent if isinstance(e, ev.ConversationItemInputAudioTranscriptionCompleted)]
    assert [(e.item_id, e.transcript, e.usage) for e in completed] == [
        ("item_own", "Where is parcel PKG 004?", ev.DurationUsage(seconds=1.0))
    ]


def test_the_text_beside_the_audio_of_an_item_stays() -> None:
    talk = Talk()
    item = MessageItem(role="user", content=(InputText(text="About"), InputAudio(), InputAudio(), InputText(text="!")))
    talk.give(i.ClientEventReceived(ce.ConversationItemCreate(item=item), 0, (i.ItemAudio(0, 1, 8_000),)))
    talk.client(ce.ResponseCreate())
    talk.transcribe("my parcel", 8_000, is_final=True)
    assert read(talk) == ["About my parcel !"]


def test_the_audio_of_an_item_in_the_input_of_a_response_is_transcribed() -> None:
    talk = Talk(modality="text")
    talk.client(ce.ConversationItemCreate(item=MessageItem(role="user", content=(InputText(text="Hello"),))))
    item, audio = spoken()
    options = ce.ResponseOptions(conversation="none", input=(item,))
    talk.give(i.ClientEventReceived(ce.ResponseCreate(response=options), 0, audio))
    assert talk.open_job("generate", missing_ok=True) is None
    talk.transcribe("Only this.", 16_000, is_final=True)
    assert read(talk) == ["Only this."]


def test_a_recogniser_that_gives_up_on_an_item_s_audio_is_told() -> None:
    talk = Talk(transcription=True)
    item, audio = spoken()
    talk.give(i.ClientEventReceived(ce.ConversationItemCreate(item=item), 0, audio))
    talk.client(ce.ResponseCreate())
    talk.give(i.JobFailed(talk.open_job("transcribe").job_id, "provider_timeout", "too slow"))
    talk.voice(2_400, 2_400)
    assert any(isinstance(e, ev.ConversationItemInputAudioTranscriptionFailed) for e in talk.sent)
    assert responses(talk)[0].status == "failed"


def test_an_item_with_audio_that_is_deleted_is_not_read() -> None:
    talk = Talk()
    item, audio = spoken()
    talk.give(i.ClientEventReceived(ce.ConversationItemCreate(item=item), 0, audio))
    talk.client(ce.ResponseCreate())
    talk.client(ce.ConversationItemDelete(item_id="item_own"))
    talk.transcribe("Where is my parcel?", 16_000, is_final=True)
    assert talk.open_job("generate").request.messages == ()


# -- responses that wait for the words they name -----------------------------------------------------------------------


@pytest.mark.parametrize("with_reference", [False, True])
@pytest.mark.parametrize("conversation", ["none", "auto"])
def test_a_response_waits_for_the_words_of_the_items_it_reads(conversation: Any, with_reference: bool) -> None:
    talk = Talk(turn_detection=None)
    talk.give(i.AudioArrived(0))
    talk.client(ce.InputAudioBufferCommit(), at_sample=16_000)
    item_id = talk.engine.state.conversation.entries[0].item.id
    given = (ItemReference(id=item_id),) if with_reference else None
    talk.client(ce.ResponseCreate(response=ce.ResponseOptions(conversation=conversation, input=given)))
    assert talk.open_job("generate", missing_ok=True) is None
    talk.transcribe("Please cancel my order.", 16_000, is_final=True)
    assert read(talk) == ["Please cancel my order."]


def test_a_response_with_its_own_input_waits_for_no_other_words() -> None:
    talk = Talk(turn_detection=None)
    talk.give(i.AudioArrived(0))
    talk.client(ce.InputAudioBufferCommit(), at_sample=16_000)
    typed = MessageItem(role="user", content=(InputText(text="Just this."),))
    talk.client(ce.ResponseCreate(response=ce.ResponseOptions(conversation="none", input=(typed,))))
    assert read(talk) == ["Just this."]


# -- turns that end while another response runs ------------------------------------------------------------------------


def test_a_turn_that_ends_during_another_response_is_answered_after_it() -> None:
    talk = Talk()
    talk.give(i.SpeechStarted(0))
    talk.client(ce.ResponseCreate())  # a late tool result, while the caller speaks
    talk.give(i.SpeechPaused(16_000))
    talk.give(i.SpeechStopped(24_000, 16_000))
    talk.transcribe("Please cancel my order.", 16_000, is_final=True)
    talk.model("The weather is fine.")
    talk.voice(SECOND)
    assert read(talk) == ["Please cancel my order."]


def test_with_interruption_off_a_turn_during_an_answer_is_answered_after_it() -> None:
    talk = Talk(turn_detection=TurnDetection(interrupt_response=False))
    talk.speech(0, 16_000, "Where is my parcel?", is_speculated=False)
    talk.model("It is at the depot. It will be delivered on Monday.")
    talk.speech(32_000, 48_000, "Please cancel my order.", is_speculated=False)
    talk.voice(SECOND, SECOND)
    assert read(talk) == ["Where is my parcel?", "Please cancel my order."]


def test_two_turns_during_an_answer_have_one_answer_after_it() -> None:
    talk = Talk(turn_detection=TurnDetection(interrupt_response=False))
    talk.client(ce.ResponseCreate())
    talk.speech(0, 16_000, "Please cancel", is_speculated=False)
    talk.speech(32_000, 48_000, "my order.", is_speculated=False)
    talk.model("Hello.")
    talk.voice(SECOND)
    assert read(talk) == ["Please cancel", "my order."]
    talk.model("It is cancelled.")
    talk.voice(SECOND)
    assert talk.jobs == []


def test_a_turn_that_waits_is_answered_by_the_client_s_own_response() -> None:
    talk = Talk()
    talk.give(i.SpeechStarted(0))
    talk.client(ce.ResponseCreate())
    talk.give(i.SpeechPaused(16_000))
    talk.give(i.SpeechStopped(24_000, 16_000))
    talk.transcribe("Please cancel my order.", 16_000, is_final=True)
    talk.client(ce.ResponseCancel())  # the waiting turn's answer begins
    assert read(talk) == ["Please cancel my order."]


def test_a_turn_that_waits_goes_with_the_next_one_when_the_caller_speaks_again() -> None:
    talk = Talk()
    talk.give(i.SpeechStarted(0))
    talk.client(ce.ResponseCreate())
    talk.give(i.SpeechPaused(16_000))
    talk.give(i.SpeechStopped(24_000, 16_000))
    talk.transcribe("Please cancel my order.", 16_000, is_final=True)
    talk.speech(32_000, 48_000, "The blue one.", is_speculated=False)
    assert read(talk) == ["Please cancel my order.", "The blue one."]


def test_a_response_that_still_waits_for_words_reads_the_later_turn_as_well() -> None:
    talk = Talk(turn_detection=TurnDetection(interrupt_response=False))
    talk.speech(0, 16_000, None)
    talk.speech(32_000, 48_000, None)
    talk.transcribe("Where is my parcel?", 16_000, is_final=True)
    talk.transcribe("The blue one.", 48_000, is_final=True)
    assert read(talk) == ["Where is my parcel?", "The blue one."]
    talk.model("It is here.")
    talk.voice(SECOND)
    assert talk.jobs == []


# -- coughs and hums ---------------------------------------------------------------------------------------------------


def noise(talk: Talk, start: int = 96_000) -> None:
    """A turn in which the recogniser finds no words."""
    talk.speech(start, start + 8_000, "", is_speculated=False)


def answered(*, plays_s: float, **options: Any) -> Talk:
    """A call in which an answer of two sentences, a second each, has been sent, and so much of it was played."""
    talk = Talk(**{"answers_noise": False, **options})
    talk.speech(0, 16_000, "Where is my parcel?", is_speculated=False)
    talk.model("It is at the depot. Have your identity card ready.")
    talk.voice(SECOND, SECOND)
    talk.wait(plays_s)
    talk.clear()
    return talk


def test_a_cough_after_an_answer_starts_nothing() -> None:
    talk = answered(plays_s=5)
    noise(talk)
    assert talk.jobs == []
    assert [(r.status, r.output) for r in responses(talk)] == [("completed", ())]


def test_an_answer_that_a_cough_cut_goes_on_where_it_was_heard() -> None:
    talk = answered(plays_s=1.0)
    noise(talk)
    assert talk.open_job("generate", missing_ok=True) is None
    assert talk.open_job("speak").request.text == "Have your identity card ready."
    talk.voice(SECOND)
    assert responses(talk)[-1].output[0].content[0].transcript == "Have your identity card ready."


def test_an_answer_that_was_cut_before_its_last_segment_was_sent_goes_on_to_its_end() -> None:
    talk = Talk(answers_noise=False)
    talk.speech(0, 16_000, "Where is my parcel?", is_speculated=False)
    talk.model("It is at the depot. Have your identity card ready. Good bye.")
    talk.voice(SECOND)
    talk.wait(1.0)
    noise(talk)
    rest = [job.request.text for job in talk.jobs if isinstance(job.request, Synthesise)]
    talk.voice(SECOND, SECOND)
    assert rest == ["Have your identity card ready.", "Good bye."]


def test_an_answer_that_was_cut_before_it_was_written_is_asked_for_again() -> None:
    talk = Talk(answers_noise=False)
    talk.speech(0, 16_000, "Where is my parcel?", is_speculated=False)
    noise(talk)
    assert read(talk) == ["Where is my parcel?"]


@pytest.mark.parametrize("heard", ["Mmm.", "Mm-hmm.", "Uh-huh", "Hmm...", "Ah.", "Oh!", "Um, uh"])
@pytest.mark.parametrize("answers_noise", [False, True])
@pytest.mark.parametrize("is_speculated", [False, True])
def test_an_answer_that_a_hum_cut_goes_on_although_the_recogniser_wrote_it_down(
    heard: str, answers_noise: bool, is_speculated: bool
) -> None:
    talk = answered(plays_s=1.0, answers_noise=answers_noise)
    talk.speech(96_000, 104_000, heard, is_speculated=is_speculated)
    assert talk.open_job("speak").request.text == "Have your identity card ready."


@pytest.mark.parametrize("heard", ["No.", "Ah, no!", "Mary", "Um, wait", "A1", "OK"])
def test_a_word_that_cuts_an_answer_is_answered(heard: str) -> None:
    talk = answered(plays_s=1.0)
    talk.speech(96_000, 104_000, heard, is_speculated=False)
    assert read(talk)[-1] == heard


def test_a_hum_after_an_answer_may_be_an_answer_itself() -> None:
    talk = answered(plays_s=5)
    talk.speech(96_000, 104_000, "Mm-hmm.", is_speculated=False)
    assert read(talk)[-1] == "Mm-hmm."


def test_two_coughs_in_a_row_lose_no_answer() -> None:
    talk = answered(plays_s=1.0)
    talk.speech(96_000, 104_000, None)
    talk.speech(128_000, 136_000, None)
    talk.transcribe("", 104_000, is_final=True)
    talk.transcribe("", 136_000, is_final=True)
    assert talk.open_job("speak").request.text == "Have your identity card ready."


def test_words_after_a_cough_are_answered_and_the_cut_answer_is_not_said_again() -> None:
    talk = answered(plays_s=1.0)
    talk.speech(96_000, 104_000, "No, cancel it.", is_speculated=False)
    assert read(talk)[-1] == "No, cancel it."


def test_where_the_client_says_how_much_was_heard_the_answer_goes_on_there() -> None:
    talk = answered(plays_s=1.5)
    answer = talk.engine.state.conversation.entries[-1].item.id
    talk.give(i.SpeechStarted(96_000))
    talk.client(ce.ConversationItemTruncate(item_id=answer, audio_end_ms=0))
    talk.give(i.SpeechPaused(104_000))
    talk.give(i.SpeechStopped(112_000, 104_000))
    talk.transcribe("", 104_000, is_final=True)
    assert talk.open_job("speak").request.text == "It is at the depot."


def test_a_rule_based_agent_is_asked_about_a_turn_without_words() -> None:
    talk = Talk(answers_noise=True)
    noise(talk, 0)
    assert talk.open_job("generate") is not None


# -- truncation ---------------------------------------------------------------------------------------------------------


def transcripts(talk: Talk) -> tuple[str, str, str]:
    """Of the assistant's item: in `response.done`, in its last record, and on retrieval."""
    item = responses(talk)[-1].output[0]
    record = [e for e in talk.effects if isinstance(e, fx.Persist) and e.record_id == item.id][-1]
    talk.client(ce.ConversationItemRetrieve(item_id=item.id))
    retrieved = talk.sent[-1].item
    assert retrieved.status != "in_progress"
    stored: Any = record.body["item"]
    return item.content[0].transcript, stored["content"][0]["transcript"], retrieved.content[0].transcript


@pytest.mark.parametrize(
    ("audio_end_ms", "heard"), [(0, ""), (100, ""), (200, "It"), (700, "It is at the"), (1_000, "It is at the depot.")]
)
def test_truncating_an_item_that_is_still_spoken_ends_it_there(audio_end_ms: int, heard: str) -> None:
    talk = Talk()
    talk.client(ce.ResponseCreate())
    talk.model("It is at the depot. Have your identity card ready.")
    talk.voice(SECOND)
    item_id = next(iter(talk.engine.state.responses.values())).message.item_id  # type: ignore[union-attr]
    talk.client(ce.ConversationItemTruncate(item_id=item_id, audio_end_ms=audio_end_ms))
    assert responses(talk)[-1].status == "cancelled"
    assert talk.jobs == []
    assert transcripts(talk) == (heard, heard, heard)
    talk.client(ce.ResponseCreate())
    request = talk.open_job("generate").request
    assert [message.text for message in request.messages] == ([heard] if heard else [])


def test_truncating_an_item_after_its_response_cuts_it_everywhere() -> None:
    talk = answered(plays_s=0.0)
    item_id = talk.engine.state.conversation.entries[-1].item.id
    talk.client(ce.ConversationItemTruncate(item_id=item_id, audio_end_ms=1_000))
    talk.client(ce.ConversationItemRetrieve(item_id=item_id))
    assert talk.sent[-1].item.content[0].transcript == "It is at the depot."


@pytest.mark.parametrize("modality", ["text", "client"])
def test_an_item_without_audio_can_t_be_truncated(modality: str) -> None:
    talk = Talk(modality="text")
    if modality == "text":
        talk.client(ce.ResponseCreate())
        talk.model("Hello.")
    else:
        item = MessageItem(role="assistant", content=(OutputText(text="Hello."),))
        talk.client(ce.ConversationItemCreate(item=item))
    item_id = talk.engine.state.conversation.entries[-1].item.id
    talk.client(ce.ConversationItemTruncate(item_id=item_id, audio_end_ms=0))
    assert talk.sent[-1].error.code == "invalid_value"
    talk.client(ce.ResponseCreate())
    assert talk.open_job("generate").request.messages[-1].text == "Hello."


# -- prompts that no longer fit -----------------------------------------------------------------------------------------


def test_messages_that_the_model_was_not_given_are_not_sent_again() -> None:
    talk = Talk(modality="text")
    for text in ("One.", "Two.", "Three."):
        talk.client(ce.ConversationItemCreate(item=MessageItem(role="user", content=(InputText(text=text),))))
    talk.client(ce.ResponseCreate())
    talk.give(i.TextDelta(talk.open_job("generate").job_id, "Yes."))
    talk.give(i.Generated(talk.open_job("generate").job_id, "stop", 9, 1, left_out=2))
    talk.client(ce.ResponseCreate())
    assert [message.text for message in talk.open_job("generate").request.messages] == ["Three.", "Yes."]
    talk.client(ce.ConversationItemRetrieve(item_id=talk.engine.state.conversation.entries[0].item.id))
    assert talk.sent[-1].item.content[0].text == "One."  # the conversation still has it


def test_pictures_that_the_model_does_not_take_are_not_sent_again() -> None:
    talk = Talk(modality="text")
    pixel = InputImage(image_url="data:image/png;base64,iVBORw0KGgo=")
    item = MessageItem(role="user", content=(InputText(text="What is this?"), pixel))
    talk.client(ce.ConversationItemCreate(item=item))
    talk.client(ce.ResponseCreate())
    talk.give(i.TextDelta(talk.open_job("generate").job_id, "I can't see it."))
    talk.give(i.Generated(talk.open_job("generate").job_id, "stop", 9, 1, without_images=True))
    talk.client(ce.ResponseCreate())
    first = talk.open_job("generate").request.messages[0]
    assert (first.images, first.text) == ((), f"What is this? {NO_IMAGE}")
    talk.client(ce.ConversationItemCreate(item=item))  # a new one is tried
    talk.client(ce.ResponseCancel())
    talk.client(ce.ResponseCreate())
    assert talk.open_job("generate").request.messages[-1].images
