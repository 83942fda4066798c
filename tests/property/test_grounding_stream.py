from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kit.grounding_corpus import corpus, facts_of, scenes

from agentvoicebox_delivery.grounding.clauses import Clauses, cut
from agentvoicebox_delivery.grounding.grounder import SENTENCE_END, Grounder
from agentvoicebox_delivery.grounding.judgement import judge
from agentvoicebox_delivery.grounding.replacement import fallback

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
def test_a_sentence_is_spoken_whole_or_not_at_all_and_one_replacement_at_most(text: str, scene: str) -> None:
    grounder = Grounder(facts_of(scene))
    heard = [*grounder.feed(text), *grounder.flush()]
    assert grounder.flush() == []
    assert len(grounder.verdicts) == len(cut(text))
    left = list(heard)
    for sentence in sentences(text):
        if left[: len(sentence)] == sentence:
            del left[: len(sentence)]
        elif left[1 : 1 + len(sentence)] == sentence:  # the replacement stands before it
            del left[1 : 1 + len(sentence)]
    assert len(left) <= 1
    for replacement in left:
        assert {each.strip() for each in cut(replacement)} <= {each.strip() for each in cut(fallback(facts_of(scene)))}


def sentences(text: str) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for clause in cut(text):
        found[-1].append(clause)
        if SENTENCE_END.search(clause):
            found.append([])
    return [sentence for sentence in found if sentence]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300), any_scene)
def test_any_text_at_all_is_judged_without_a_fault(text: str, scene: str) -> None:
    for clause in cut(text):
        judge(clause, facts_of(scene))
