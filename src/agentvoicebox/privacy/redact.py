"""Removes what a log line may not contain: people's words, audio, and keys.

People's words are logged under keys that start with `pii.`; they are dropped except on a developer's own machine. Audio (bytes)
is never logged, only its length. Credentials are cut out of any text, because foreign libraries log addresses and headers.
"""

import re
from collections.abc import MutableMapping
from typing import Any

PII_PREFIX = "pii."
HIDDEN = "[hidden]"
SECRET_NAMES = frozenset({"authorization", "api_key", "api-key", "apikey", "password", "token", "secret", "cookie"})
SECRETS_IN_TEXT = re.compile(
    r"(?P<lead>bearer\s+|openai-insecure-api-key\.|://[^/\s:@]*:(?=[^\s/]*@))(?P<secret>[^\s@,\"']+)|\b(?:ek|sk)[_-][A-Za-z0-9_-]{6,}",
    re.IGNORECASE,
)

Event = MutableMapping[str, Any]


class Redactor:
    """A structlog processor; the last before rendering, so that nothing is added after it."""

    def __init__(self, *, keeps_words: bool) -> None:
        """`keeps_words`: leave `pii.` keys in; only for a terminal on the developer's own machine."""
        self._keeps_words = keeps_words

    def __call__(self, logger: object, method: str, event: Event) -> Event:
        """Drop and hide, in place."""
        for key in list(event):
            if key.startswith(PII_PREFIX) and not self._keeps_words:
                del event[key]
            elif key.lower() in SECRET_NAMES:
                event[key] = HIDDEN
            else:
                event[key] = without_secrets(event[key])
        return event


def without_secrets(value: object) -> object:
    """`value` with credentials hidden and bytes replaced by their length; containers are traversed, other types unchanged."""
    if isinstance(value, str):
        return SECRETS_IN_TEXT.sub(lambda match: (match["lead"] or "") + HIDDEN, value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if isinstance(value, dict):
        return {
            key: HIDDEN if str(key).lower() in SECRET_NAMES else without_secrets(item) for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_secrets(item) for item in value]
    return value
