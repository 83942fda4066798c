"""The kept list of mutations fits the sources: each text that it replaces still occurs, once, and each named test is there."""

import re

import pytest
from tests.mutations.run import ROOT, Mutation, read_list

MUTATIONS = read_list()


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_the_text_that_a_mutation_replaces_occurs_once(mutation: Mutation) -> None:
    assert mutation.occurrences() == 1, f"{mutation.file}: {mutation.old!r}"
    assert mutation.old != mutation.new


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_the_tests_of_a_mutation_exist(mutation: Mutation) -> None:
    assert mutation.tests
    for test in mutation.tests:
        path, *names = test.split("::")
        source = (ROOT / path).read_text()
        for name in names:
            assert re.search(rf"\b(def|class) {re.escape(name.partition('[')[0])}\b", source), test


def test_at_least_thirty_mechanisms_are_broken() -> None:
    assert len(MUTATIONS) >= 30
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)
