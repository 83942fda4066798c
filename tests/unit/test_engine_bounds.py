"""What a session may hold in all, and what a client may still send when the store is nearly full."""

import pytest
from tests.kit.conversation import Talk

from agentvoicebox.engine import bounds
from agentvoicebox.engine import inputs as i
from agentvoicebox.errors import ClientError
from agentvoicebox.wire import client_events as ce
from agentvoicebox.wire.items import (
    FunctionCallItem,
    FunctionCallOutputItem,
    InputAudio,
    InputImage,
    InputText,
    ItemReference,
    MessageItem,
)

LARGE = "x" * 256 * 1024


def typed(text: str, item_id: str = "") -> ce.ConversationItemCreate:
    return ce.ConversationItemCreate(item=MessageItem(id=item_id, role="user", content=(InputText(text=text),)))


def beside(**options: object) -> ce.ResponseCreate:
    return ce.ResponseCreate(response=ce.ResponseOptions(conversation="none", **options))  # type: ignore[arg-type]


def code(talk: Talk, event: ce.ClientEvent, *, is_store_full: bool = False) -> str | None:
    error: ClientError | None = bounds.refusal(
        talk.engine.state, event, bounds.EntrySizes(), is_store_full=is_store_full
    )
    return None if error is None else error.code


def test_a_conversation_holds_4_mib_of_text_and_pictures() -> None:
    talk = Talk(modality="text")
    picture = ce.ConversationItemCreate(
        item=MessageItem(role="user", content=(InputImage(image_url="data:image/png;base64," + LARGE),))
    )
    for number in range(15):
        event = typed(LARGE, f"item_{number}")
        assert code(talk, event) is None
        talk.client(event)
    assert code(talk, picture) == "conversation_too_long"
    assert code(talk, typed(LARGE)) is None
    talk.client(typed(LARGE))
    assert code(talk, typed("x")) == "conversation_too_long"
    talk.client(ce.ConversationItemDelete(item_id="item_3"))
    assert code(talk, typed("x")) is None


def test_what_is_remembered_of_sizes_is_what_measuring_anew_gives() -> None:
    talk, sizes = Talk(modality="text"), bounds.EntrySizes()

    def both() -> tuple[int, int]:
        entries = talk.engine.state.conversation.entries
        return sizes.total(entries), bounds.EntrySizes().total(entries)

    for number in range(5):
        talk.client(typed("wörd " * number, f"item_{number}"))
        assert both()[0] == both()[1]
    talk.client(ce.ConversationItemDelete(item_id="item_3"))
    assert both() == (6 * (1 + 2 + 4), 6 * (1 + 2 + 4))
    entry = talk.engine.state.conversation.entries[0]
    entry.transcript = "heard"
    assert both() == (6 * 7 + 5, 6 * 7 + 5)
    entry.item = MessageItem(id="item_0", role="user", content=(InputText(text="x" * 100),))
    assert both() == (6 * 7 + 5 + 100, 6 * 7 + 5 + 100)


def test_responses_beside_the_conversation_are_bounded_in_number_and_in_what_they_read() -> None:
    talk = Talk(modality="text")
    for _ in range(bounds.MAX_SIDE_RESPONSES):
        assert code(talk, beside(input=())) is None
        talk.client(beside(input=()))
    assert code(talk, beside(input=())) == "too_many_responses"
    assert code(talk, ce.ResponseCreate()) is None

    talk = Talk(modality="text")
    for number in range(9):
        talk.client(typed(LARGE, f"item_{number}"))
    talk.client(beside())
    assert code(talk, beside()) == "too_many_responses"
    assert code(talk, beside(input=(ItemReference(id="item_0"),))) is None


@pytest.mark.parametrize("given", [None, (ItemReference(id="item_0"),) * 9])
def test_responses_that_wait_for_words_count_with_what_they_will_read(given: tuple[ItemReference, ...] | None) -> None:
    talk = Talk(modality="text")
    for number in range(9):
        talk.client(typed(LARGE, f"item_{number}"))
    spoken = MessageItem(id="item_spoken", role="user", content=(InputAudio(),))
    talk.give(i.ClientEventReceived(ce.ConversationItemCreate(item=spoken), 0, (i.ItemAudio(0, 1, 16_000),)))
    waiting = beside() if given is None else beside(input=(*given, ItemReference(id="item_spoken")))
    talk.client(waiting)
    assert talk.open_job("generate", missing_ok=True) is None
    assert code(talk, waiting) == "too_many_responses"


def test_one_small_event_can_not_copy_an_item_many_times() -> None:
    talk = Talk(modality="text")
    talk.client(typed(LARGE, "item_0"))
    options = ce.ResponseOptions(input=(ItemReference(id="item_0"),) * 17)
    assert code(talk, ce.ResponseCreate(response=options)) == "conversation_too_long"


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (typed("hi"), "store_full"),
        (
            ce.ConversationItemCreate(item=FunctionCallItem(call_id="c", name="n", arguments="{}")),
            "store_full",
        ),
        (ce.ConversationItemCreate(item=FunctionCallOutputItem(call_id="c", output="found")), None),
        (ce.ResponseCreate(), None),
        (ce.ResponseCancel(), None),
        (ce.InputAudioBufferCommit(), None),
        (ce.ConversationItemDelete(item_id="i"), None),
        (ce.SessionUpdate(session={}), None),
    ],
)
def test_while_the_store_is_nearly_full_only_what_finishes_a_turn_is_taken(
    event: ce.ClientEvent, expected: str | None
) -> None:
    talk = Talk(modality="text")
    assert code(talk, event, is_store_full=True) == expected
    assert code(talk, event) is None
    talk.client(ce.ResponseCreate())
    if isinstance(event, ce.ResponseCreate):
        expected = "store_full"
    assert code(talk, event, is_store_full=True) == expected
