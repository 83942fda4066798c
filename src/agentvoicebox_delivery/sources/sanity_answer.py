"""What came back from Sanity: a result, or which kind of failure and whether asking again may help.

Decides the meaning of a status, of the four shapes of error body, of pages that are no JSON at all. The kinds matter to three
readers: the retry (`may_retry`), the breaker (which kinds say that Sanity is unwell), and people (the message names the
setting to look at). Reads no socket.
"""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

import msgspec

from agentvoicebox.errors import BadProviderAnswer, ProviderError, ProviderUnavailable
from agentvoicebox_delivery.sources.sanity_query import SanityDataset

RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})
LONGEST_QUOTE = 200  # characters of Sanity's own words in a message


class Kind(StrEnum):
    """How an attempt ended. The values are labels of metrics."""

    ANSWERED = "answered"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    LIMITED = "limited"
    SERVER_ERROR = "server_error"
    GARBAGE = "garbage"
    REFUSED = "refused"


BREAKER_KINDS = frozenset({Kind.UNREACHABLE, Kind.TIMEOUT, Kind.SERVER_ERROR, Kind.GARBAGE})  # what a breaker counts


class AttemptFailed(Exception):
    """One request failed. Never leaves this package: `sanity` raises `error` instead.

    Attributes:
        may_retry: the same request may succeed a moment later.
        retry_after_s: what Sanity asked us to wait, or None.
    """

    def __init__(
        self, kind: Kind, error: ProviderError, *, may_retry: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(error.message)
        self.kind = kind
        self.error = error
        self.may_retry = may_retry
        self.retry_after_s = retry_after_s


def result_of(status: int, headers: Mapping[str, str], body: bytes, dataset: SanityDataset, *, wall_s: float) -> Any:
    """The `result` of an answer. `wall_s` is now, to understand a Retry-After that is a date.

    Raises:
        AttemptFailed: there is none.
    """
    if status != 200:
        raise _refusal(status, headers, body, dataset, wall_s)
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise garbage(f"Sanity answered with {content_type or 'no content type'} instead of JSON")
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise garbage("Sanity's answer is no whole JSON") from error
    if not isinstance(answer, dict) or "result" not in answer:
        raise garbage("Sanity's answer holds no result")
    return answer["result"]


def garbage(message: str) -> AttemptFailed:
    """An answer that makes no sense. Not tried again: whatever stands between us and Sanity will say the same."""
    return AttemptFailed(Kind.GARBAGE, BadProviderAnswer(message))


def retry_after_s(value: str | None, *, wall_s: float) -> float | None:
    """A Retry-After header in seconds from now, at least 0; None when it is absent or can't be read."""
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - wall_s)
    except (ValueError, OverflowError):
        return None


def said(body: bytes) -> str:
    """Sanity's own words in an error body of any of its four shapes; "" for a page or for nothing."""
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return ""
    if not isinstance(answer, dict):
        return ""
    error = answer.get("error")
    words = error.get("description") if isinstance(error, dict) else None
    words = words or answer.get("message") or error
    if not isinstance(words, str):
        return ""
    return " ".join("".join(each if each.isprintable() else " " for each in words).split())[:LONGEST_QUOTE]


def _refusal(
    status: int, headers: Mapping[str, str], body: bytes, dataset: SanityDataset, wall_s: float
) -> AttemptFailed:
    words = said(body)
    quote = f" ({words})" if words else ""
    if status == 429:
        wait_s = retry_after_s(headers.get("retry-after"), wall_s=wall_s)
        message = f"Sanity has had too many requests from this address{quote}"
        return AttemptFailed(Kind.LIMITED, ProviderUnavailable(message), may_retry=True, retry_after_s=wait_s)
    if status >= 500:
        error = ProviderUnavailable(f"Sanity answers {status}{quote}")
        return AttemptFailed(Kind.SERVER_ERROR, error, may_retry=status in RETRIED_STATUSES)
    return AttemptFailed(Kind.REFUSED, BadProviderAnswer(f"{_fix(status, words, dataset)}{quote}"))


def _fix(status: int, words: str, dataset: SanityDataset) -> str:
    """What a person should look at."""
    match status:
        case 401 if "project" in words.lower():
            return "the token belongs to another Sanity project: AVB_SANITY_PROJECT_ID or AVB_SANITY_TOKEN is wrong"
        case 401:
            return "Sanity does not know the token: make a new one with read access and set AVB_SANITY_TOKEN"
        case 403:
            return f"the token may not read {dataset.place}: give it read access, or set another AVB_SANITY_TOKEN"
        case 404:
            return f"Sanity knows no {dataset.place}: look at AVB_SANITY_DATASET and AVB_SANITY_PROJECT_ID"
        case 400:
            return "Sanity can't read our query; is AVB_SANITY_API_VERSION a version it has?"
        case _:
            return f"Sanity answers {status}; do AVB_SANITY_BASE_URL and AVB_SANITY_PROJECT_ID name a query API?"
