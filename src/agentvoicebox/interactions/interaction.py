"""One recorded interaction: a spoken call with the engine's log, or a webhook request with its answer.

Defines the fields and the JSON of a line. `redaction` removes words, `from_log` builds interactions from logs, and `day_files`
stores the lines.
"""

from typing import Any, Literal

import msgspec

from agentvoicebox.engine.inputs import Input
from agentvoicebox.errors import NewerFormat

FORMAT = 1
"""The format that this version writes, and the newest that it reads. It is increased when an older version would misread a line.
Lines without a number are format 0.
"""

Channel = Literal["realtime", "webhook", "rest", "rehearsal"]  # `rehearsal`: the stored name of simulations
LogEntry = tuple[float, Input]  # session time in seconds, and the input


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the conversation.

    Attributes:
        role: `caller`, `agent` or `system`.
        text: what was said; for the agent, what the caller heard. Empty when words are not recorded.
        words: number of words in `text` before words were removed.
        at_s: session time at which the line was added.
        is_cut: whether the caller interrupted, so that `text` is shorter than the generated text.
        is_typed: whether the caller typed it; older recordings do not say so.
    """

    role: str
    text: str = ""
    words: int = 0
    at_s: float = 0.0
    is_cut: bool = False
    is_typed: bool = False


class ToolUse(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call of a tool.

    Attributes:
        arguments: JSON text as the model or the platform wrote it.
        output: the tool's answer, usually JSON; "" when it failed or did not answer.
        code: outcome code (`FOUND`, `NOT_FOUND`, …); `FAILED` without an answer, "" when the answer has no code.
        took_ms: from the request to the answer; None if unknown.
        line: number of transcript lines before the answer.
        is_client: whether the client ran the tool, so that the server can't run it again.
    """

    name: str
    arguments: str
    output: str = ""
    code: str = ""
    took_ms: float | None = None
    line: int = 0
    is_client: bool = False


class Wait(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The latency of one answer, by part.

    Attributes:
        total_ms: until the first output.
        parts_ms: by part; the sum is `total_ms`. Time in a queue counts for the part that waited in it.
        work_ms: working time of each part for this answer, including time that overlapped with another part.
    """

    total_ms: float
    parts_ms: dict[str, float] = {}
    work_ms: dict[str, float] = {}


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """The agent's claims, checked while the words were available. Contains no words.

    Attributes:
        claims: number of statuses, days, numbers and names that the agent stated.
        unfounded: for each claim that no tool result supports, the reason (a fixed text without the agent's words).
        unread: number of clauses that the judge could not parse.
        due: number of results that the agent had time to report.
        reported: number of these that it reported, or whose failure it reported.
    """

    claims: int = 0
    unfounded: tuple[str, ...] = ()
    unread: int = 0
    due: int = 0
    reported: int = msgspec.field(name="told", default=0)  # its name in files of every version


class Interaction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a day file.

    Attributes:
        timestamp: start, ISO 8601, UTC.
        began_s: start, Unix time.
        call_id: the session, or the platform's own id of the call.
        tenant_id: owner of the call; "" if unknown.
        channel: channel of the request; `rehearsal` is a scenario that was simulated without sound.
        software: version of this package that recorded the interaction.
        has_words: whether words and complete identifiers are recorded, so that every replay is exact.
        is_whole: whether the log is complete.
        log: of a spoken call: every engine input, `Opened` first. Without words its texts are masked letter by letter.
        digests: 16 hex digits for each log entry: the digest of its effects (see `rerun`), or, without words, of their masked
            form.
        invariant_broken: the first invariant of the conversation that was violated, or "".
        request: of a webhook: the request body, redacted.
        answer: of a webhook: the response body.
        status: of a webhook: the HTTP status.
        route: of a webhook: the path of the request; "" in recordings of earlier versions.
        source: of a webhook: the platform (`vapi`, `rest`).
        responses: of a spoken call: the final status of each response (`completed`, `cancelled`, …).
        format: of the line that was read; see `FORMAT`.
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
    invariant_broken: str = msgspec.field(name="laws_broken", default="")  # its name in files of every version
    digests: str = ""
    log: tuple[LogEntry, ...] = ()
    source: str = ""
    status: int | None = None
    route: str = ""
    request: Any = None
    answer: Any = None


class _Head(msgspec.Struct):
    format: int = 0


_head = msgspec.json.Decoder(_Head)
_decoder = msgspec.json.Decoder(Interaction)


def encode(interaction: Interaction) -> bytes:
    """One line of JSON, without the line break."""
    return msgspec.json.encode(interaction)


def decode(line: bytes) -> Interaction:
    """Decode one line.

    Raises:
        msgspec.DecodeError: the line is incomplete, or has other fields.
        NewerFormat: a newer version wrote the line in a format that this version can't read.
    """
    found = _head.decode(line).format
    if found > FORMAT:
        raise NewerFormat("interaction", found, FORMAT)
    return msgspec.structs.replace(_decoder.decode(line), format=found)
