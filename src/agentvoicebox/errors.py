"""Every error this system raises on purpose, as one tree.

The party at fault decides the branch: the client (ClientError), admission (Refused), an engine that we call (ProviderError)
or a server that we depend on (InfrastructureError). Adapters translate foreign exceptions once, at their edge, with `from`.
A client's mistake becomes an `error` event and the session continues; only an error with a `close_code` ends it.
"""

from collections.abc import Sequence
from typing import ClassVar

import msgspec

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that don't hold what they should."""


class AgentVoiceBoxError(Exception):
    """Root of the tree.

    Attributes:
        code: machine-readable name, stable across releases; on the wire it is `error.code`.
        error_type: the OpenAI family on the wire (`error.type`).
        retryable: whether the same request may succeed later, unchanged.
        close_code: WebSocket close code, or None when the session continues.
    """

    code: str | None = None
    error_type: ClassVar[str] = "server_error"
    retryable: ClassVar[bool] = False
    close_code: ClassVar[int | None] = None

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class ClientError(AgentVoiceBoxError):
    """The client's request is invalid.

    Attributes:
        param: dotted path of the invalid field (`session.audio.input.format.rate`), or None.
        event_id: the client's own id of the invalid event, or None.
    """

    error_type = "invalid_request_error"

    def __init__(
        self, message: str, *, code: str | None = None, param: str | None = None, event_id: str | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.param = param
        self.event_id = event_id


class InvalidEvent(ClientError):
    """An event that is not JSON, of no known type, or with an invalid field."""

    code = "invalid_event"


class UnknownItem(ClientError):
    """An event names an item that the conversation does not hold."""

    code = "item_not_found"


class BufferTooSmall(ClientError):
    """A commit of less than 100 ms of audio."""

    code = "input_audio_buffer_commit_empty"


class BodyTooLarge(ClientError):
    """The body is larger than allowed."""

    code = "request_too_large"


class StoreFull(ClientError):
    """The store is nearly full: only what finishes a turn is accepted."""

    code = "store_full"
    error_type = "server_error"
    retryable = True


class Refused(AgentVoiceBoxError):
    """Admission refused the request. Nothing was begun."""

    error_type = "invalid_request_error"


class BadCredentials(Refused):
    """No key, or a wrong or expired one."""

    code = "invalid_api_key"
    close_code = 3000


class PolicyDenied(Refused):
    """The key is valid; the policy does not allow this."""

    code = "policy_denied"
    close_code = 1008


class RateLimited(Refused):
    """Too many requests. `retry_after_s` says when to retry."""

    code = "rate_limit_exceeded"
    error_type = "rate_limit_error"
    retryable = True

    def __init__(self, message: str, *, retry_after_s: float, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class TooManyWrongCredentials(RateLimited):
    """A wrong credential from a source that has shown too many."""

    code = "too_many_wrong_credentials"


class Overloaded(Refused):
    """The server is at capacity; admitted calls keep their latency. `retry_after_s` says when to retry."""

    code = "overloaded"
    error_type = "server_error"
    retryable = True
    close_code = 1013

    def __init__(self, message: str, *, code: str | None = None, retry_after_s: float = 5.0) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class ProviderError(AgentVoiceBoxError):
    """A speech or language engine failed."""


class ProviderTimeout(ProviderError):
    """The engine did not answer in time."""

    code = "provider_timeout"
    retryable = True


class ProviderUnavailable(ProviderError):
    """The engine can't be reached, or its model is not installed. The message says what to type."""

    code = "provider_unavailable"
    retryable = True


class NotInstalled(ProviderUnavailable):
    """A package or a model is missing on this machine, or a language model is not configured. The message says what to type."""

    retryable = False


class ProviderBrokeOff(ProviderUnavailable):
    """The engine failed in the middle of an answer: a retry must continue after the part that was passed on."""

    code = "provider_broke_off"


class BadProviderAnswer(ProviderError):
    """The engine's answer is invalid."""

    code = "bad_provider_answer"


class PromptTooLong(ProviderError):
    """The prompt is longer than the model's context, although all that may be left out of it is."""

    code = "prompt_too_long"


class InfrastructureError(AgentVoiceBoxError):
    """A server that this system depends on is away."""

    retryable = True


class BrokerLost(InfrastructureError):
    """Valkey/Redis can't be reached."""

    code = "broker_lost"


class DamagedRecord(InfrastructureError):
    """Stored data can't be read. A retry would fail again."""

    code = "damaged_record"
    retryable = False


class SessionTaken(InfrastructureError):
    """Another gateway owns the session: nothing may be written for it here."""

    code = "session_taken"
    retryable = False


class NewerFormat(InfrastructureError):
    """Stored data were written by a newer version of this software. They are left as they are.

    Retryable, because another gateway may be new enough already.

    Attributes:
        found: the format of the data.
        newest_read: the newest format that this version reads.
    """

    code = "newer_format"

    def __init__(self, what: str, found: int, newest_read: int) -> None:
        super().__init__(
            f"This {what} was written by a newer version (format {found}); this one reads formats up to {newest_read}. "
            "Upgrade this server, or try another one that is new enough."
        )
        self.found = found
        self.newest_read = newest_read


class StorageLost(InfrastructureError):
    """PostgreSQL can't be reached."""

    code = "storage_lost"


class PolicyLost(InfrastructureError):
    """The policy can't be evaluated, or gave no decision; then nothing is allowed. The message says how to fix it."""

    code = "policy_lost"


class SettingsError(AgentVoiceBoxError):
    """The settings are invalid. The message names each invalid setting and its fix.

    Attributes:
        faults: one sentence each; the message alone if there is no list.
    """

    code = "bad_settings"

    def __init__(self, message: str, faults: Sequence[str] = ()) -> None:
        """`faults` follow `message`, one a line."""
        super().__init__("\n  ".join([message, *faults]))
        self.faults = tuple(faults) or (message,)


def connection_fault(error: BaseException) -> str:
    """Why a connection failed, in a few words: of the first error of the operating system that `error` was raised from."""
    each: BaseException | None = error
    while each is not None and not isinstance(each, OSError):
        each = each.__cause__ or each.__context__
    if each is None:
        return str(error)
    if isinstance(each, ConnectionRefusedError) or not each.errno:  # none: several addresses were tried
        return "connection refused"
    return each.strerror or type(each).__name__
