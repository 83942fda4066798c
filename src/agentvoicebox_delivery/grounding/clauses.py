"""Cuts a growing text into clauses, each as soon as it is complete; and a clause into its words.

A clause is a sentence, or the part of one before a comma after which a new statement begins ("…, and it should …"). The
result depends on the text alone, never on how it was chunked: cuts are only made after white space.
`judgement` decides whether a clause may be said.
"""

import re
import unicodedata

import msgspec

LONGEST_CLAUSE = 400  # characters; longer text without a full stop is cut here, and will probably be refused
LEAST_WORDS = 3  # before a comma; fewer are an opening ("Yes,", "Thank you,") that belongs to the next clause


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SENTENCE_END = re.compile(r"[.!?\u2026]+[\"'\u2019\u201d)\]*]*\s$")
# A letter alone is an initial ("J. Smith"), unless it ends a number that was spelled ("A one A A.").
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|St|No|vs|etc|e\.g|i\.e|a\.m|p\.m)"
    r"|(?<!\b[A-Z0-9] )(?<!\bone )(?<!\btwo )(?<!\bthree )(?<!\bfour )(?<!\bfive )"
    r"(?<!\bsix )(?<!\bseven )(?<!\beight )(?<!\bnine )(?<!\bzero )\b[A-Z])\.\s$"
)
_JOINT = re.compile(r"[,;:\u2013\u2014]\s+([A-Za-z]+)(?:['\u2019][a-z]+)?\s$")
_STARTERS = _listed("and but so it i we you your could would can do what please let is")
# A sentence with such an opening states nothing before its second half.
_LEANING = _listed(
    "if when once while although though because since as according based from to for in on at by unless "
    "until after before whether not both sorry"
)
_VERB = re.compile(
    r"\b(?:is|are|was|were|has|have|had|should|will|would|can|could|may|do|does|did|need|found|see|heard|got|am"
    r"|delivered|arrived)\b|['\u2019](?:s|re|ve|ll|m|d|t)\b",
    re.IGNORECASE,
)

_CONTRACTIONS = (
    (r"\bcan(?:no|')t\b", "can not"),
    (r"\bwon't\b", "will not"),
    (r"n't\b", " not"),
    (r"'re\b", " are"),
    (r"'ve\b", " have"),
    (r"'ll\b", " will"),
    (r"'m\b", " am"),
    (r"\b(you|we|they|i)'d (hoped|expected|wanted|been|planned|counted)\b", r"\1 had \2"),
    (r"\b(i|you|we|they|it|that|this|he|she)'d\b", r"\1 would"),
    (r"\b(something|everything|nothing|bad news|good news|all)'s (come|happened|gone|got)\b", r"\1 has \2"),
    (r"\b(it|that|there|here|what|where|who|how|this|he|she|let|one)'s (been|got|run|already (?:been|arrived))\b", r"\1 has \2"),
    (r"\blet's\b", "let us"),
    (r"\b(it|that|there|here|what|where|who|how|this|when|which)'s\b", r"\1 is"),
    (r"\b(everything|nothing|number|one|estimate|delivery|date)'s\b", r"\1 is"),
    (r"\b(parcel|package|packet|shipment|order|item)'s (been|run)\b", r"\1 has \2"),
    (r"\b([A-Z]\w*)'s (got|been|already (?:got|picked|collected|delivered)|picked|collected|delivered|scanned"
     r"|recorded|marked)\b", r"\1 has \2"),
    (r"\b([A-Z]\w*)'s (handling|carrying|delivering|bringing|expecting|estimating|showing|planning|taking"
     r"|the carrier|still|currently|now)\b", r"\1 is \2"),
    (r"\b(monday|tuesday|wednesday|thursday|friday|saturday|sunday|today|tomorrow)'s (what|the|when|your)\b", r"\1 is \2"),
    (r"\b(parcel|package|packet|shipment|order|item)'s\b", r"\1 is"),
)  # fmt: skip
_SHORT_FORMS = tuple((re.compile(pattern, re.IGNORECASE), whole) for pattern, whole in _CONTRACTIONS)
_SHORT = re.compile(r"\b(St|Mt|Ft|Mr|Mrs|Dr)\.")
_WORD = re.compile(r"[^\W_]+|[^\w\s]")
_SILENT = frozenset("\"'()[]*_\u201c\u201d")  # marks that a voice doesn't read
_PAUSES = {";": ",", ":": ",", "-": "", "\u2013": ",", "\u2014": ",", "!": ".", "\u2026": "."}


class ClauseWord(msgspec.Struct, frozen=True):
    """A word or a mark.

    Attributes:
        low: lower case, without accents.
        is_capital: written with a capital first.
        is_shouted: written in capitals alone.
    """

    low: str
    is_capital: bool = False
    is_shouted: bool = False


class Clauses:
    """Cuts a growing text. The joined results of `feed` and `flush` are the text."""

    def __init__(self) -> None:
        self._pending = ""

    def feed(self, text: str) -> list[str]:
        """Add text; returns the complete clauses, with their white space."""
        found: list[str] = []
        for piece in re.findall(r"\S*\s|\S+$", text):
            self._pending += piece
            if piece[-1].isspace() and (end := self._cut()):
                found.append(self._pending[:end])
                self._pending = self._pending[end:]
        return found

    def flush(self) -> list[str]:
        """End of the text: returns the rest."""
        rest, self._pending = self._pending, ""
        return [rest] if rest else []

    def _cut(self) -> int:
        text = self._pending
        if not text.strip():
            return 0
        if text.endswith("\n") or (_SENTENCE_END.search(text) and not _ABBREVIATION.search(text)):
            return len(text)
        joint = _JOINT.search(text)
        if joint and joint.group(1).lower() in _STARTERS and _stands_alone(text[: joint.start()]):
            return joint.start(1)
        return len(text) if len(text) > LONGEST_CLAUSE else 0


def cut(text: str) -> list[str]:
    """The clauses of a whole text."""
    clauses = Clauses()
    return [*clauses.feed(text), *clauses.flush()]


def _stands_alone(head: str) -> bool:
    words = head.lower().split()
    return len(words) >= LEAST_WORDS and words[0].strip(",") not in _LEANING and _VERB.search(head) is not None


def words(clause: str) -> list[ClauseWord]:
    """The words and marks of a clause; short forms are written out ("hasn't" → has, not), hyphens part words."""
    text = unicodedata.normalize("NFKC", clause).replace("\u2019", "'").replace("\u2018", "'")
    found: list[ClauseWord] = []
    for run in _SHORT.sub(r"\1", _written_out(text)).split():
        for match in _WORD.findall(run):
            mark = _PAUSES.get(match, match)
            if mark and mark not in _SILENT and unicodedata.category(mark[0]) not in ("So", "Sk", "Mn"):  # no emoji
                found.append(ClauseWord(bare(mark), match[:1].isupper(), match.isupper()))
    return found


def bare(text: str) -> str:
    """Lower case without accents, so that "Liège" and "Liege" are equal."""
    spread = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in spread if not unicodedata.combining(character))


def normal(clause: str) -> str:
    """A clause without marks that don't change its words, for comparison."""
    return " ".join(word.low for word in words(clause) if word.low not in ",.")


def _written_out(text: str) -> str:
    for pattern, whole in _SHORT_FORMS:
        text = pattern.sub(whole, text)
    return text
