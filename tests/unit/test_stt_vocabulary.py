"""Token numbers become text, whatever bytes they stand for."""

from pathlib import Path

import pytest

from agentvoicebox.errors import BadProviderAnswer
from agentvoicebox.providers.stt.vocabulary import Vocabulary

TOKENS = ["H", "i", "Ġthere", "ĠÃ©", "Ã", "<|endoftext|>", "<|en|>"]


@pytest.fixture
def vocabulary(tmp_path: Path) -> Vocabulary:
    path = tmp_path / "vocabulary.txt"
    path.write_text("\n".join(TOKENS) + "\n", encoding="utf-8")
    return Vocabulary(path)


def test_spaces_and_letters_beyond_ascii_come_back(vocabulary: Vocabulary) -> None:
    assert vocabulary.text([0, 1, 2, 3]) == "Hi there é"


def test_marks_are_no_text(vocabulary: Vocabulary) -> None:
    assert vocabulary.text([6, 0, 5]) == "H"


def test_half_a_letter_is_shown_as_broken_and_raises_nothing(vocabulary: Vocabulary) -> None:
    assert vocabulary.text([4]) == "\ufffd"


def test_marks_are_found_by_name(vocabulary: Vocabulary) -> None:
    assert vocabulary.number("<|en|>") == 6
    assert vocabulary.number("<|xx|>") is None


def test_a_file_without_an_end_mark_is_no_vocabulary(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.txt"
    path.write_text("a\nb\n", encoding="utf-8")
    with pytest.raises(BadProviderAnswer, match="not a Whisper vocabulary"):
        Vocabulary(path)
