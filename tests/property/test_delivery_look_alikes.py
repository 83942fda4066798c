"""Whatever other numbers a sentence has: a parcel with a neighbour one slip away is never told without a yes."""

import pytest
from benchmarks.spoken_ids import look_up
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kit.parcel_calls import ask, shelf

from agentvoicebox_delivery.evals import id_sentences
from agentvoicebox_delivery.evals.id_corpus import people
from agentvoicebox_delivery.numbers.inquiry import Inquiry
from agentvoicebox_delivery.numbers.slips import one_slip_away
from agentvoicebox_delivery.numbers.tracking import is_tracking_id
from agentvoicebox_delivery.parcels import track

pytestmark = pytest.mark.requirement("B1.6")

CALLERS = 2 * len(id_sentences.SENTENCES)  # `benchmarks/look_alikes.py` has a thousand
numbers = st.sampled_from([each.tracking_id for each in people(60, seed=7)])
sentences = st.sampled_from(id_sentences.SENTENCES)
telephone = st.sampled_from(
    ["07700 900123", "+44 7700 900 123", "oh double seven double oh nine hundred one two three"]
)
anything = st.text("0123456789 .,/:AB", max_size=14)


@settings(deadline=None, max_examples=300)  # the machine may be busy
@given(numbers, sentences, telephone, anything, anything, st.data())
def test_a_look_alike_is_seen_whatever_else_was_said(
    heard: str, sentence: str, phone: str, before: str, after: str, data: st.DataObject
) -> None:
    mine = data.draw(st.sampled_from([each for each in sorted(one_slip_away(heard)) if is_tracking_id(each)]))
    said = f"{before} {sentence.format(heard, phone=phone)} {after}"
    outcome = ask(shelf(mine, heard), said)
    assert outcome.code != track.FOUND


@settings(deadline=None, max_examples=300)  # the machine may be busy
@given(numbers)
def test_the_keys_name_every_number_one_slip_away_from_what_may_be_told(heard: str) -> None:
    question = Inquiry.of({"heard": [heard]})
    assert question is not None
    keys = question.keys()
    assert all(keys.fit(each) for each in one_slip_away(heard))
    assert heard not in one_slip_away(heard)


def test_nobody_who_is_misheard_as_a_neighbour_is_told_the_neighbours_parcel() -> None:
    callers = id_sentences.people(CALLERS, seed=3)
    desk = look_up(id_sentences.parcels(callers, 1000, seed=3))
    outcomes = [id_sentences.call(caller, desk) for caller in callers]
    assert not [outcome.lines for outcome in outcomes if outcome.is_wrong]
    assert not [outcome.lines for outcome in outcomes if outcome.reported_id and not outcome.confirmed]
    assert sum(outcome.is_own for outcome in outcomes) > 0.9 * CALLERS
