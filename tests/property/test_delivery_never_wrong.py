"""Whatever a recogniser makes of a number, and whatever parcels there are: nobody is told of another person's parcel."""

import random
from collections.abc import Mapping

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from agentvoicebox.engine.jobs import ChatMessage, ToolCall, ToolSpec
from agentvoicebox_delivery.dialogue.moves import Say, next_move
from agentvoicebox_delivery.numbers import likeness
from agentvoicebox_delivery.numbers.inquiry import DOUBT, Inquiry
from agentvoicebox_delivery.numbers.readback import ending
from agentvoicebox_delivery.parcels import reply, tool_schema, track
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentStatus
from agentvoicebox_delivery.parcels.tool_result import read

TOOL = ToolSpec(tool_schema.NAME, "", tool_schema.PARAMETERS)
CHARACTERS = "ABCDEGHJKMNPSTVZ0123456789"

numbers = st.one_of(
    st.builds(lambda a, b: a + b, st.sampled_from(["PKG", "BX", "DES", "FTM"]), st.text("0123456789", min_size=4, max_size=5)),
    st.text("0123456789", min_size=10, max_size=15).filter(lambda text: len(set(text)) > 3),
    st.builds(lambda a: f"1Z{a}", st.text("AEV0123456789", min_size=16, max_size=16)),
)  # fmt: skip


def misheard(tracking_id: str, slips: int, chance: random.Random) -> str:
    """A number with so many characters changed, lost, repeated or swapped."""
    heard = list(tracking_id)
    for _ in range(slips):
        at = chance.randrange(len(heard))
        match chance.randrange(4):
            case 0:
                heard[at] = chance.choice(CHARACTERS)
            case 1 if len(heard) > 5:
                del heard[at]
            case 2:
                heard.insert(at, heard[at])
            case _:
                heard[at : at + 2] = heard[at : at + 2][::-1]
    return "".join(heard)


def answer(parcels: Mapping[str, Shipment], arguments: Mapping[str, object], knows_near: bool) -> str:
    question = Inquiry.of(arguments)
    if question is None:
        asked = track.wanted(str(arguments["tracking_id"]))
        return track.outcome(asked, [parcels[a.tracking_id] for a in asked if a.tracking_id in parcels]).as_json()
    keys = question.keys()
    near = [each for name, each in parcels.items() if keys.fit(name)]
    found = [parcels[each.tracking_id] for each in question.asked if each.tracking_id in parcels]
    return question.outcome(found, near if knows_near else None).as_json()


def state_choices(chat: list[ChatMessage]) -> tuple[str, ...]:
    """Between which numbers the last look-up let the caller choose."""
    return next((read(line.text).choices for line in reversed(chat) if line.role == "tool"), ())


@settings(deadline=None, max_examples=300)  # the machine may be busy
@given(
    numbers,
    st.integers(0, 2**32),
    st.lists(st.integers(0, 4), min_size=4, max_size=4),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_no_parcel_is_told_that_was_not_confirmed_by_exactly_its_number_or_heard_plainly_and_alone(
    mine: str, seed: int, slips: list[int], exists: bool, knows_near: bool, is_anothers: bool
) -> None:
    """The caller is truthful: yes to their own number read back whole, no to all else. Only the hearing errs."""
    chance = random.Random(seed)
    others = {misheard(mine, chance.randint(1, 2), chance) for _ in range(6)} | {mine[:-1], mine + mine[-1]}
    ids = sorted(each for each in others if each != mine and len(each) >= 6) + [mine] * exists
    parcels = {each: Shipment(each, ShipmentStatus.IN_TRANSIT) for each in ids}
    chat: list[ChatMessage] = []
    confirmed, says = False, ids[0] if is_anothers else misheard(mine, slips[0], chance)
    for turn in range(10):
        chat.append(ChatMessage("user", says))
        for _ in range(4):
            move = next_move(chat, [TOOL])
            if isinstance(move, Say):
                break
            output = answer(parcels, move.arguments, knows_near)
            result = read(output)
            if result.code == track.FOUND:
                told = result.tracking_id
                if told == mine:
                    return
                # Another person's: only if it was heard to the letter, by a source that sees no other parcel near it; and
                # then the caller's own is not there, or further from what was heard than any slip takes it.
                assert not confirmed and knows_near
                question = Inquiry.of(move.arguments)
                assert question is not None and question.asked[0].tracking_id == told
                assert all(likeness.distance(told, each, 9.0) > DOUBT for each in parcels if each != told)
                return
            call_id = f"call_{len(chat)}"
            written = msgspec.json.encode(move.arguments).decode()
            chat.append(ChatMessage("assistant", "", (ToolCall(call_id, move.name, written),)))
            chat.append(ChatMessage("tool", output, call_id=call_id))
        assert isinstance(move, Say)
        chat.append(ChatMessage("assistant", move.text))
        if "Goodbye" in move.text:
            return
        if "Is that" in move.text:
            confirmed = move.text == reply.confirm(mine)
            says = "yes" if confirmed else "no"
        elif "yours end in" in move.text:
            is_offered = mine in state_choices(chat)
            says = f"the one ending in {ending(mine)}" if is_offered else "no"
        elif "last four" in move.text:
            says = misheard(mine[-4:] * 2, 0, chance)[:4]
        else:
            says = misheard(mine, slips[turn % 4], chance)
