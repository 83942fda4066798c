from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kit.grounding_corpus import corpus, facts_of, scenes

from agentvoicebox_delivery.grounding.clauses import Clauses, cut
from agentvoicebox_delivery.grounding.grounder import Grounder, fallback
from agentvoicebox_delivery.grounding.judgement import judge

pytestmark = pytest.mark.requirement("C3")

LINES = [line.text for name in ("honest", "adversarial") for line in corpus(name)]
replies = st.lists(st.sampled_from(LINES), min_size=1, max_size=5).map(" ".join)
any_scene = st.sampled_from(sorted(scenes()))
endless = st.integers(0, 150).map(lambda count: "abcdefg" * count + " and so on. ")
any_text = st.one_of(
    replies, endless, st.text(max_size=200), st.lists(st.sampled_from(" .,;!?\n'-aI1"), max_size=60).map("".join)
)


def pieces(text: str, cuts: list[int]) -> list[str]:
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in cuts)})
    return [text[start:end] for start, end in pairwise(edges)]


def spoken(text: str, cuts: list[int], scene: str) -> list[str]:
    grounder = Grounder(facts_of(scene))
    heard = [clause for piece in pieces(text, cuts) for clause in grounder.feed(piece)]
    return heard + grounder.flush()


@given(any_text, st.lists(st.integers(0, 10_000), max_size=40))
def test_clauses_are_the_text_and_do_not_depend_on_how_it_came(text: str, cuts: list[int]) -> None:
    clauses = Clauses()
    found = [clause for piece in pieces(text, cuts) for clause in clauses.feed(piece)] + clauses.flush()
    assert "".join(found) == text
    assert found == cut(text)
    assert clauses.flush() == []


@settings(max_examples=150, deadline=None)
@given(any_text, st.lists(st.integers(0, 10_000), max_size=40), any_scene)
def test_what_is_spoken_does_not_depend_on_how_the_text_came(text: str, cuts: list[int], scene: str) -> None:
    assert spoken(text, cuts, scene) == spoken(text, [], scene) == spoken(text, list(range(len(text))), scene)


@settings(max_examples=150, deadline=None)
@given(any_text, any_scene)
def test_nothing_is_spoken_that_the_judge_refuses(text: str, scene: str) -> None:
    facts = facts_of(scene)
    grounder = Grounder(facts)
    heard = [*grounder.feed(text), *grounder.flush()]
    assert grounder.flush() == []
    subject = None
    is_replaced = False
    allowed = []
    for clause in cut(text):
        verdict = judge(clause, facts, subject)
        subject = verdict.subject if verdict.allowed or is_replaced else None
        is_replaced = is_replaced or not verdict.allowed
        allowed += [clause] if verdict.allowed else []
    if heard != allowed:  # then one thing more: the builder's words
        added = next(place for place, clause in enumerate(heard) if place >= len(allowed) or clause != allowed[place])
        assert heard[:added] + heard[added + 1 :] == allowed
        assert {each.strip() for each in cut(heard[added])} <= {each.strip() for each in cut(fallback(facts))}


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300), any_scene)
def test_any_text_at_all_is_judged_without_a_fault(text: str, scene: str) -> None:
    for clause in cut(text):
        judge(clause, facts_of(scene))
