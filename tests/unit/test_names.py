"""Names are plain and unique: a public class name stands in one file, and some words stand in no name, docstring or comment.

Both lists of exceptions may only shrink: an entry that is not needed any more fails the test.
"""

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src"
FILES = sorted(SOURCES.rglob("*.py"))

# The protocol's own words, which the wire and its users share.
SHARED_NAMES: frozenset[str] = frozenset()
# Names that still stand in several files. Rename them, then delete them here.
DUPLICATES: frozenset[str] = frozenset()

BANNED = frozenset({
    "told", "whoever", "whomever", "nobody", "somebody", "anybody", "wary", "lull", "farewell", "bury", "burial", "hotline",
    "mend", "mended", "mending", "ails", "ailing", "complain", "complains", "affair", "honest", "honestly", "wiser",
})  # fmt: skip
# Phrases of the literary register, as patterns. They stand in no docstring or comment.
BANNED_PHRASES = tuple(
    re.compile(phrase)
    for phrase in (
        r"in time of need", r"\bc[ao]mes? to\b", r"\bwho asks\b", r"\bby hand\b", r"\blet go\b", r"\bas good as\b", r"\bdoors?\b",
        r"can't be told", r"\bas (it|they) stands?\b", r"\blet in\b", r"\bnone of ours\b", r"\bfront doors?\b", r"\bthe book\b",
        r"\bto be had\b", r"\bit is none\b",
    )
)  # fmt: skip
# Stored names that keep a banned word, since files of every version hold them: scores and baselines (`agentvoicebox eval`).
STORED_NAMES = re.compile(r"accuracy\.told")
# Packages without the banned words.
PLAIN_ROOMS = ("agentvoicebox", "agentvoicebox_delivery")
# Exceptions among their files; the list may only shrink.
NOT_PLAIN_YET: frozenset[str] = frozenset()
# What callers and language models say is not ours to word.
WORDS_OF_CALLERS = frozenset({
    "agentvoicebox_delivery/grounding/answers.py", "agentvoicebox_delivery/grounding/frames.py",
    "agentvoicebox_delivery/grounding/names.py", "agentvoicebox_delivery/grounding/statements.py",
    "agentvoicebox_delivery/grounding/free_words.py", "agentvoicebox_delivery/grounding/wordings.py",
    "agentvoicebox_delivery/grounding/vocabulary.py", "agentvoicebox_delivery/grounding/limits.py",
    "agentvoicebox_delivery/grounding/advice.py", "agentvoicebox_delivery/grounding/sympathy.py",
    "agentvoicebox_delivery/grounding/assertions.py", "agentvoicebox_delivery/grounding/reported.py",
    "agentvoicebox_delivery/grounding/misses.py",
    "agentvoicebox_delivery/dialogue/wordings.py", "agentvoicebox_delivery/dialogue/caller_line.py",
    "agentvoicebox_delivery/numbers/lexicon.py",
})  # fmt: skip


def public_classes(source: str) -> Iterator[str]:
    """The public classes at the top level of a file."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name


def banned_words(source: str) -> list[str]:
    """`word (line)` for each banned word in a name, docstring or comment of a file."""
    tree = ast.parse(source)
    found = []
    docstrings = {
        node.body[0].value.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and ast.get_docstring(node, clean=False) is not None
        and isinstance(node.body[0], ast.Expr)
    }
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        is_prose = token.type == tokenize.COMMENT or (token.type == tokenize.STRING and token.start[0] in docstrings)
        if is_prose or token.type == tokenize.NAME:
            text = re.sub(r"avb:\S+", "", token.string)  # keys of the store keep their names
            text = STORED_NAMES.sub("", text)
            words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower())
            found += [f"{word} (line {token.start[0]})" for word in words if word in BANNED]
        if is_prose:
            prose = " ".join(token.string.split()).lower()
            found += [f"{each.pattern} (line {token.start[0]})" for each in BANNED_PHRASES if each.search(prose)]
    return found


def plain_files() -> list[Path]:
    rooms = [SOURCES / room for room in PLAIN_ROOMS]
    return [path for path in FILES if any(path == room or room in path.parents for room in rooms)]


def relative(path: Path) -> str:
    return path.relative_to(SOURCES).as_posix()


def test_a_public_class_name_stands_in_one_file_only() -> None:
    places: dict[str, set[str]] = defaultdict(set)
    for path in FILES:
        for name in public_classes(path.read_text()):
            places[name].add(relative(path))
    found = {name: sorted(files) for name, files in places.items() if len(files) > 1 and name not in SHARED_NAMES}
    assert {name: files for name, files in found.items() if name not in DUPLICATES} == {}
    assert DUPLICATES - found.keys() == set(), "these are unique by now: delete them from DUPLICATES"


def test_the_glossary_names_classes_that_exist() -> None:
    glossary = (SOURCES.parent / "ARCHITECTURE.md").read_text().partition("## Words")[2]
    rows = [line.split("|")[1] for line in glossary.splitlines() if line.startswith("| `")]
    terms = {term for row in rows for term in re.findall(r"`(\w+)`", row)}
    classes = {
        node.name for path in FILES for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)
    }
    assert terms and terms <= classes


@pytest.mark.parametrize("path", plain_files(), ids=relative)
def test_no_banned_word_stands_in_a_plain_room(path: Path) -> None:
    found = banned_words(path.read_text())
    if relative(path) in NOT_PLAIN_YET:
        assert found, "this file is plain by now: delete it from NOT_PLAIN_YET"
    elif relative(path) not in WORDS_OF_CALLERS:
        assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "def told() -> None: ...",
        '"""Whoever asks."""',
        "x = 1  # nobody knows",
        "class FarewellParty: ...",
        "is_wary = True",
        '"""What a call came to."""',
        "x = 1  # closed by hand",
    ],
)
def test_a_planted_word_is_caught(source: str) -> None:
    assert len(banned_words(source)) == 1
