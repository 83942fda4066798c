"""Values of labels. Every label takes its values from a closed set, so that no client can create new series."""

from collections.abc import Set

OTHER = "other"
JOB_KINDS = frozenset({"stt", "llm", "tts", "tool", "record"})


def among(value: str, known: Set[str]) -> str:
    """The value, or `other` when it is not known."""
    return value if value in known else OTHER
