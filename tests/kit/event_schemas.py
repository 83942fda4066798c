"""Whether events on the wire are as the AsyncAPI document says."""

from collections import Counter
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from tests.kit.reference import asyncapi

CHECKED = 3  # of each type and connection; hundreds of deltas would say no more


def faults_of(event: dict[str, Any]) -> list[str]:
    """What of an event is not as its schema says."""
    return [f"{each.json_path}: {each.message[:200]}" for each in _validator(event["type"]).iter_errors(event)]


class EventChecks:
    """Checks the events that one connection gets. One that speaks the retired beta is not checked: it has no document."""

    def __init__(self) -> None:
        self._is_beta = False
        self._seen: Counter[str] = Counter()

    def check(self, event: dict[str, Any]) -> None:
        """Raises AssertionError."""
        if event["type"].endswith("session.created"):
            self._is_beta = "type" not in event["session"]
        self._seen[event["type"]] += 1
        if not self._is_beta and self._seen[event["type"]] <= CHECKED and (wrong := faults_of(event)):
            raise AssertionError(f"{'; '.join(wrong)}: {event}")


@cache
def _validator(kind: str) -> Draft202012Validator:
    return Draft202012Validator(asyncapi.schema_of(kind))
