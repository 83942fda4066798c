"""Lines of the corpus in any order: no parcel is reported without its number typed or a yes, and every line gets an answer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentvoicebox_delivery.dialogue import phrases
from agentvoicebox_delivery.dialogue.want_reading import want_of
from agentvoicebox_delivery.dialogue.wants import Want
from agentvoicebox_delivery.evals.conversation_call import ConversationCall
from agentvoicebox_delivery.evals.conversations import TODAY, load, shelf
from agentvoicebox_delivery.numbers.tracking import candidates, normalize
from agentvoicebox_delivery.parcels import reply

pytestmark = pytest.mark.requirement("B1.6")

LINES = sorted(
    {(turn.type or turn.say, bool(turn.type)) for each in load() for turn in each.turns if turn.type or turn.say}
)
YES = (Want.YES, Want.THATS_IT, Want.BACKCHANNEL)
LONGEST_ANSWER = 700  # characters


def said_plainly(line: str, tracking_id: str) -> bool:
    return tracking_id in normalize(line) or any(each.tracking_id == tracking_id for each in candidates(line))


@settings(deadline=None, max_examples=80)  # the machine may be busy
@given(st.lists(st.sampled_from(LINES), min_size=1, max_size=8), st.sampled_from(["", "transfer", "callback"]))
def test_nothing_is_reported_without_a_typed_number_or_a_whole_yes(
    lines: list[tuple[str, bool]], handover: str
) -> None:
    call = ConversationCall(shelf(), TODAY, handover=handover)
    asked = ""
    known: set[str] = set()
    for line, is_typed in lines:
        answer = call.turn(line, is_typed=is_typed)
        assert 0 < len(answer.text) <= LONGEST_ANSWER and not answer.text.startswith(" ")
        for tracking_id in answer.reported:
            was_read_back = reply.confirm(tracking_id) in asked or "Did you mean" in asked
            is_yes = want_of(line) in YES or said_plainly(line, tracking_id)
            is_rest = asked.endswith(("What comes next?", phrases.WHAT_COMES_NEXT))
            is_plain = said_plainly(line, tracking_id) or is_rest
            assert tracking_id in known or is_plain or (was_read_back and is_yes), (asked, line, tracking_id)
            known.add(tracking_id)
        asked = answer.text
