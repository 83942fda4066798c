"""Identifiers and numbers of people, masked to their last characters, in JSON of tools and of hosted platforms.

What counts as an identifier is up to the agent kits (`AgentKit.identifier`); telephone numbers are known here. Pure.
"""

import re
from collections.abc import Callable
from typing import Any

from agentvoicebox.privacy.masks import SECRET_KEY, masked_json, masked_text
from agentvoicebox.privacy.redact import HIDDEN

LAST = 4  # characters of an identifier or a number that are kept
LONG_NUMBER_DIGITS = 9
# Strings under these keys are vocabulary of the platforms, not words of people.
_PLAIN_KEYS = frozenset(
    {
        "type", "role", "status", "provider", "code", "transcriptType", "phoneCallProvider", "phoneCallTransport",
        "endedReason", "createdAt", "updatedAt", "timestamp", "startedAt", "endedAt", "toolCallId", "call_id",
    }
)  # fmt: skip
_ID_KEYS = ("id", "orgId", "assistantId", "phoneNumberId", "squadId")
_UUID_OR_CALL = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?:call|toolu)_[A-Za-z0-9]+")
_PHONE = re.compile(r"\+?[\d\s().-]{7,20}")
_FACT_KEYS = frozenset({"code", "status", "at", "updated_at"})  # of every tool


def _no_identifier(text: str) -> None:
    """Without kits there are no identifiers."""


class IdentifierMask:
    """Masks identifiers.

    Args:
        identifier: the compact form of a text that is an identifier, else None (`Kits.identifier`).
        fact_keys: further fields of tool results that hold facts, not words of people (`Kits.fact_keys`).
    """

    def __init__(
        self, identifier: Callable[[str], str | None] = _no_identifier, fact_keys: frozenset[str] = frozenset()
    ) -> None:
        self._identifier = identifier
        self._fact_keys = _FACT_KEYS | fact_keys

    def text(self, text: str) -> str:
        """All but the last four characters of an identifier or a number starred; other text becomes its shape."""
        compact = self._identifier(text)
        if compact is None and _PHONE.fullmatch(text):
            compact = re.sub(r"\D", "", text)
        if compact is None:
            return masked_text(text, keeps_abbreviations=False)
        return "*" * (len(compact) - LAST) + compact[-LAST:]

    def arguments(self, value: Any) -> Any:
        """The arguments of a tool call: identifiers and numbers masked to their last four, other words to their shape."""
        if isinstance(value, dict):
            return {key: self.arguments(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.arguments(each) for each in value]
        if isinstance(value, str):
            return self.text(value)
        return self.text(str(value)) if isinstance(value, int) and not isinstance(value, bool) else value

    def output(self, value: Any, key: str = "") -> Any:
        """The result of a tool: facts stay, identifiers keep their last four, other words go."""
        if isinstance(value, dict):
            return {name: self.output(each, name) for name, each in value.items()}
        if isinstance(value, list):
            return [self.output(each, key) for each in value]
        if not isinstance(value, str) or key in self._fact_keys:
            return value
        return "" if key == "speech" else self.text(value)

    def request(self, value: Any, known_names: frozenset[str], key: str = "") -> Any:
        """A hosted platform's request: secrets hidden, identifiers and numbers masked, words reduced to their shape.

        Args:
            value: JSON-able data.
            known_names: names of tools, which stay.
            key: under which `value` stands.
        """
        if SECRET_KEY.search(key) and value is not None:
            return HIDDEN
        if isinstance(value, dict):
            return {self._name(name): self.request(each, known_names, name) for name, each in value.items()}
        if isinstance(value, list):
            return [self.request(each, known_names, key) for each in value]
        if isinstance(value, int | float):
            return self.text(str(value)) if _is_number_of_a_person(value, key) else value
        if not isinstance(value, str) or key in _PLAIN_KEYS or value in known_names:
            return value
        if key in _ID_KEYS and _UUID_OR_CALL.fullmatch(value):
            return value
        if value[:1] in ("{", "[", '"'):
            return masked_json(value, lambda each: self.request(each, known_names, key))
        return self.text(value)

    def _name(self, name: str) -> str:
        """The key of an object, which some senders make of an identifier."""
        return self.text(name) if self._identifier(name) == name else name


def _is_number_of_a_person(value: float, key: str) -> bool:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return is_whole and len(str(value)) >= LONG_NUMBER_DIGITS and not key.lower().startswith("time")
