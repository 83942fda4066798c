"""One interaction as it is kept: a spoken call with the engine's log, or a webhook request with its answer.

Decides the fields and the JSON of a line. Which of them hold words is `redaction`'s affair, how a log becomes one `of_log`'s,
and where lines are kept `day_files`'.
"""

from typing import Any, Literal

import msgspec

from agentvoicebox.engine.inputs import Input
from agentvoicebox.errors import NewerFormat

FORMAT = 1
"""Of the lines that this version writes, and the newest that it reads. It grows when an older version would misread a line. Lines
without a number, from versions that wrote none, are format 0.
"""

Channel = Literal["realtime", "webhook", "rest", "rehearsal"]  # `rehearsal` is what stored simulations are called
LogEntry = tuple[float, Input]  # session time in seconds, and what happened then


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the conversation.

    Attributes:
        role: `caller`, `agent` or `system`.
        text: what was said; of the agent what the caller heard. Empty when words are not kept.
        words: how many words `text` has or had.
        at_s: session time at which the line was there.
        is_cut: the caller broke in, so `text` is shorter than what was made.
    """

    role: str
    text: str = ""
    words: int = 0
    at_s: float = 0.0
    is_cut: bool = False


class ToolUse(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call of a tool.

    Attributes:
        arguments: JSON text as the model or the platform wrote it.
        output: the tool's answer, usually JSON; "" when it failed or never answered.
        code: the outcome (`FOUND`, `NOT_FOUND`, …); `FAILED` without an answer, "" when the answer has none.
        took_ms: from the request to the answer; None when that isn't known.
        line: how many lines of the transcript came before the answer.
        is_client: the client ran it, so nobody here can run it again.
    """

    name: str
    arguments: str
    output: str = ""
    code: str = ""
    took_ms: float | None = None
    line: int = 0
    is_client: bool = False


class Wait(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How long somebody waited for an answer, and for what.

    Attributes:
        total_ms: to the first output.
        parts_ms: by part; they sum to `total_ms`. Time in queues counts to the part that queued.
        work_ms: how long each part worked for this answer, also where that was hidden behind another.
    """

    total_ms: float
    parts_ms: dict[str, float] = {}
    work_ms: dict[str, float] = {}


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What the agent claimed, judged while the words were at hand. Holds none of them.

    Attributes:
        claims: statuses, days, numbers and names that it told as facts.
        unfounded: for each that no tool had returned, what is wrong with it (a fixed text without a word of it).
        unread: clauses whose meaning is not known.
        due: results that the agent had the time to tell; `told`: those whose state or failure it told.
    """

    claims: int = 0
    unfounded: tuple[str, ...] = ()
    unread: int = 0
    due: int = 0
    told: int = 0


class Interaction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a day's file.

    Attributes:
        timestamp: when it began, ISO 8601, UTC.
        began_s: the same as Unix time.
        call_id: the session, or the platform's own id of the call.
        tenant_id: whose call it is; empty where nobody said so.
        channel: where it came in; `rehearsal` is a scenario that was simulated without sound.
        software: version of this package that recorded it.
        has_words: people's words and whole numbers are kept, so that every replay is exact.
        is_whole: nothing is missing of the log.
        log: of a spoken call: every engine input, `Opened` first. Without words its texts are masked, letter by letter.
        digests: 16 hex digits a log entry, of the effects it had (see `rerun`): of all of them byte for byte, or, without
            words, of their masked form.
        laws_broken: the first law of a conversation that did not hold, or "".
        request: of a webhook: its body, redacted.
        answer: of a webhook: the body answered.
        status: of a webhook: the HTTP status.
        source: of a webhook: which platform's spelling.
        responses: of a spoken call: how each response ended (`completed`, `cancelled`, …).
        format: of the line it came from; see `FORMAT`.
    """

    timestamp: str
    began_s: float
    correlation_id: str
    call_id: str
    channel: Channel = msgspec.field(name="door")  # its name in files of every version
    tenant_id: str = ""
    agent: str = ""
    software: str = ""
    scenario: str = ""
    format: int = msgspec.field(default_factory=lambda: FORMAT)  # with a factory the field is written in every line
    has_words: bool = False
    is_whole: bool = True
    transcript: tuple[Line, ...] = ()
    tool_calls: tuple[ToolUse, ...] = ()
    waits: tuple[Wait, ...] = ()
    responses: tuple[str, ...] = ()
    judgement: Judgement | None = None
    laws_broken: str = ""
    digests: str = ""
    log: tuple[LogEntry, ...] = ()
    source: str = ""
    status: int | None = None
    request: Any = None
    answer: Any = None


class _Head(msgspec.Struct):
    format: int = 0


_head = msgspec.json.Decoder(_Head)
_decoder = msgspec.json.Decoder(Interaction)


def encode(interaction: Interaction) -> bytes:
    """One line of JSON, without its end of line."""
    return msgspec.json.encode(interaction)


def decode(line: bytes) -> Interaction:
    """The interaction of a line.

    Raises:
        msgspec.DecodeError: it is no whole JSON, or of another shape.
        NewerFormat: a newer version wrote it, and this one would misread it.
    """
    found = _head.decode(line).format
    if found > FORMAT:
        raise NewerFormat("interaction", found, FORMAT)
    return msgspec.structs.replace(_decoder.decode(line), format=found)
