"""Interprets Sanity's HTTP answers: a result, or a kind of failure with or without retry.

Handles the status codes, the four forms of error bodies, and pages that are not JSON. The kind of failure is for the retry
(`may_retry`), for the breaker (`BREAKER_KINDS`) and for operators (the message names the setting to check). Does no I/O.
"""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

import msgspec

from agentvoicebox.errors import BadProviderAnswer, ProviderError, ProviderUnavailable
from agentvoicebox_delivery.sources.sanity_query import SanityDataset
from agentvoicebox_delivery.sources.unreadable import RefusedRequest

RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})
LONGEST_QUOTE = 200  # characters of Sanity's text in an error message


class Kind(StrEnum):
    """The result of an attempt. The values are labels of metrics."""

    ANSWERED = "answered"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    LIMITED = "limited"
    SERVER_ERROR = "server_error"
    GARBAGE = "garbage"
    REFUSED = "refused"


BREAKER_KINDS = frozenset({Kind.UNREACHABLE, Kind.TIMEOUT, Kind.SERVER_ERROR, Kind.GARBAGE})  # failures for the breaker


class AttemptFailed(Exception):
    """One request failed. Internal: `sanity` raises `error` instead.

    Attributes:
        kind: the kind of failure.
        error: the error to raise if no attempt succeeds.
        may_retry: whether another attempt may succeed.
        retry_after_s: the wait that Sanity requested, or None.
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
    """The `result` of an answer. `wall_s` is the current time, for a Retry-After that is a date.

    Raises:
        AttemptFailed: the answer has no result.
    """
    if status != 200:
        raise _refusal(status, headers, body, dataset, wall_s)
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise garbage(f"Sanity answered with {content_type or 'no content type'} instead of JSON")
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise garbage("Sanity's answer is not valid JSON") from error
    if not isinstance(answer, dict) or "result" not in answer:
        raise garbage("Sanity's answer has no result")
    return answer["result"]


def garbage(message: str) -> AttemptFailed:
    """An invalid answer. It is not retried, because it probably comes from a proxy and would be the same."""
    return AttemptFailed(Kind.GARBAGE, BadProviderAnswer(message))


def retry_after_s(value: str | None, *, wall_s: float) -> float | None:
    """A Retry-After header in seconds from now, at least 0; None if it is absent or invalid."""
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
    """The text of an error body in any of Sanity's four forms; "" if there is none."""
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
        message = f"Sanity limits the requests from this address{quote}"
        return AttemptFailed(Kind.LIMITED, ProviderUnavailable(message), may_retry=True, retry_after_s=wait_s)
    if status >= 500:
        error = ProviderUnavailable(f"Sanity answers {status}{quote}")
        return AttemptFailed(Kind.SERVER_ERROR, error, may_retry=status in RETRIED_STATUSES)
    return AttemptFailed(Kind.REFUSED, RefusedRequest(f"{_fix(status, words, dataset)}{quote}"))


def _fix(status: int, words: str, dataset: SanityDataset) -> str:
    """The advice for an operator."""
    match status:
        case 401 if "project" in words.lower():
            return "the token belongs to another Sanity project: AVB_SANITY_PROJECT_ID or AVB_SANITY_TOKEN is wrong"
        case 401:
            return "Sanity does not know the token: create one with read access and set AVB_SANITY_TOKEN"
        case 403:
            return f"the token has no read access to {dataset.place}: grant it, or set another AVB_SANITY_TOKEN"
        case 404:
            return f"Sanity has no {dataset.place}: check AVB_SANITY_DATASET and AVB_SANITY_PROJECT_ID"
        case 400:
            return "Sanity can't read the query; check AVB_SANITY_API_VERSION"
        case _:
            return f"Sanity answers {status}; check AVB_SANITY_BASE_URL and AVB_SANITY_PROJECT_ID"
