"""The account of one answer, from which its spans are made: the path of the wait without a gap, and every job."""

import msgspec


class PathPart(msgspec.Struct, frozen=True):
    """One piece of the wait. Times are whole microseconds since it began; each piece begins where the one before it ends."""

    part: str
    start_us: int
    end_us: int
    job_id: str | None = None


class JobTimes(msgspec.Struct, frozen=True):
    """One job of an answer. Times are wall seconds; 0.0: not known.

    Attributes:
        part: `dialogue`, `tool` or `tts`.
        subject: the language model, the tool or the voice.
        call_id: of a tool call.
        first_s: its first result.
        ended_s: its last result so far, or when it was cancelled.
    """

    part: str
    job_id: str
    opened_s: float
    subject: str = ""
    call_id: str = ""
    claimed_s: float = 0.0
    first_s: float = 0.0
    ended_s: float = 0.0
    is_cancelled: bool = False


class TurnAccount(msgspec.Struct, frozen=True):
    """One answer.

    Attributes:
        item_id: what the caller said, if the answer was to speech.
        began_s: wall time of the caller's last voiced sample; without speech, of what caused the answer.
        ended_s: wall time of its `response.done`.
        path: from `began_s` to the first output; empty when there was none.
        speculation: `hit`, `miss` or `none`.
    """

    response_id: str
    began_s: float
    ended_s: float
    path: tuple[PathPart, ...] = ()
    jobs: tuple[JobTimes, ...] = ()
    item_id: str | None = None
    speculation: str = "none"
