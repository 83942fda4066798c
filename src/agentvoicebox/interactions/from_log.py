"""A session's log → an interaction: transcript, tool calls, latencies, and the first violated invariant.

Pure: runs the engine over the log again and observes it. Needs only the log, so the result is the same for a log from a closing
gateway, from the store and from a file.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from agentvoicebox import __version__
from agentvoicebox.audio.rates import INPUT_RATE_HZ
from agentvoicebox.engine.conversation import Entry, assistant_text, is_typed, user_text
from agentvoicebox.engine.effects import OpenJob, Send, SendAudio
from agentvoicebox.engine.inputs import Input, JobFailed, Opened, SpeechStopped, ToolReturned
from agentvoicebox.engine.invariants import Invariants, InvariantViolation
from agentvoicebox.engine.jobs import CallTool
from agentvoicebox.engine.session import Engine
from agentvoicebox.interactions.interaction import Channel, Interaction, Line, LogEntry, ToolUse, Wait
from agentvoicebox.interactions.judge import InteractionJudge, judge_call
from agentvoicebox.interactions.rerun import NotALog, ReplayedStep, digest, masked_digest, rerun
from agentvoicebox.ports.broker import JobKind, JobResult
from agentvoicebox.telemetry.tap import TurnTap
from agentvoicebox.tools.definition import INVALID_ARGUMENTS, UNKNOWN_TOOL
from agentvoicebox.wire.items import FunctionCallItem, FunctionCallOutputItem, MessageItem
from agentvoicebox.wire.server_events import ConversationItemAdded, ResponseDone, ResponseOutputTextDelta

FAILED = "FAILED"
WORKING = ("stt", "dialogue", "tool", "tts")
_entry_decoder: msgspec.msgpack.Decoder[tuple[float, Input]] = msgspec.msgpack.Decoder(tuple[float, Input])


class LoggedCall(msgspec.Struct, frozen=True):
    """An interaction with all its words, and the digests of the masked effects, one for each log entry."""

    interaction: Interaction
    masked_digests: str


def decode_log(entries: Sequence[bytes]) -> tuple[LogEntry, ...]:
    """Decode the entries of a session's log in the store (`sessions.log.SessionLog.load`, without a snapshot).

    Raises:
        NotALog: an entry can't be read.
    """
    try:
        return tuple(_entry_decoder.decode(entry) for entry in entries)
    except msgspec.DecodeError as error:
        raise NotALog(f"an entry of the log can't be read: {error}") from error


def interaction_of_log(
    log: Sequence[LogEntry],
    *,
    correlation_id: str = "",
    channel: Channel = "realtime",
    scenario: str = "",
    is_whole: bool = True,
    wants_masked: bool = True,
    judge_of: Callable[[Sequence[str]], InteractionJudge | None] = lambda tool_names: None,
    after_step: Callable[[], None] = lambda: None,
) -> LoggedCall:
    """Build the interaction of a log.

    Args:
        log: all entries; the first is `Opened`.
        correlation_id: of the call's log lines.
        channel: the channel of the call.
        scenario: name of the scenario that was played, or "".
        is_whole: whether the log is complete.
        wants_masked: also compute the masked digests (doubles the work).
        judge_of: tool names of an agent → its judge; None if there is no judge.
        after_step: called after each step, to give way to live calls in the same process.

    Raises:
        NotALog: the first entry is not `Opened`.
    """
    observer = _CallObserver()
    whole, masked = bytearray(), bytearray()
    for step in rerun(log):
        observer.observe(step)
        whole += digest(step.effects)
        if wants_masked:
            masked += masked_digest(step.effects)
        after_step()
    opened = observer.opened
    transcript, calls = observer.conversation()
    tool_names = [*(tool.name for tool in opened.agent.server_tools), *(call.name for call in calls)]
    judge = judge_of(tool_names)
    today = datetime.fromtimestamp(opened.wall_s, UTC).date()
    judgement = None if judge is None else judge_call(judge, transcript, calls, today)
    interaction = Interaction(
        timestamp=iso_time(opened.wall_s),
        began_s=opened.wall_s,
        correlation_id=correlation_id,
        call_id=opened.config.id,
        channel=channel,
        agent=opened.agent.name,
        software=__version__,
        scenario=scenario,
        has_words=True,
        is_whole=is_whole,
        transcript=transcript,
        tool_calls=calls,
        waits=tuple(observer.waits),
        responses=tuple(observer.responses),
        judgement=judgement,
        invariant_broken=observer.broken,
        digests=whole.hex(),
        log=tuple(log),
    )
    return LoggedCall(interaction, masked.hex())


def iso_time(wall_s: float) -> str:
    """Unix time as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _CallObserver:
    """Collects what an interaction records while a log is run."""

    def __init__(self) -> None:
        self.waits: list[Wait] = []
        self.responses: list[str] = []
        self.broken = ""
        self._invariants = Invariants()
        self._tap = TurnTap(self._arrival_s)
        self._opened: Opened | None = None
        self._engine: Engine | None = None
        self._stopped: tuple[float, SpeechStopped] | None = None
        self._added_s: dict[str, float] = {}
        self._open_tools: dict[str, tuple[float, CallTool]] = {}  # tool job → start, request
        self._answers: dict[str, tuple[float, str]] = {}  # call id → duration in ms, output

    @property
    def opened(self) -> Opened:
        if self._opened is None:
            raise NotALog("a log begins with the opening of its session")
        return self._opened

    def observe(self, step: ReplayedStep) -> None:
        given = step.given
        if isinstance(given, Opened):
            self._opened = given
        elif isinstance(given, SpeechStopped):
            self._stopped = (step.now_s, given)
        self._engine = step.engine
        self._check(step)
        self._tap.observe(step.now_s, given, step.effects, _record_of(given, step.now_s))
        if isinstance(given, ToolReturned | JobFailed) and given.job_id in self._open_tools:
            started_s, call = self._open_tools.pop(given.job_id)
            output = given.output if isinstance(given, ToolReturned) else ""
            self._answers[call.call_id] = ((step.now_s - started_s) * 1000, output)
        for effect in step.effects:
            match effect:
                case OpenJob(job_id=job_id, request=CallTool() as call):
                    self._open_tools[job_id] = (step.now_s, call)
                case SendAudio(response_id=response_id):
                    self._output_left(response_id, step.now_s)
                case Send(event=ResponseOutputTextDelta(response_id=response_id)):
                    self._output_left(response_id, step.now_s)
                case Send(event=ConversationItemAdded(item=item)):
                    self._added_s.setdefault(item.id, step.now_s)
                case Send(event=ResponseDone(response=response)):
                    self.responses.append(str(response.status))

    def conversation(self) -> tuple[tuple[Line, ...], tuple[ToolUse, ...]]:
        """The transcript at the end of the log, and the tool calls."""
        assert self._engine is not None
        lines: list[Line] = []
        names: dict[str, FunctionCallItem] = {}
        calls: list[ToolUse] = []
        entries = [entry for entry in self._engine.state.conversation.entries if not entry.is_provisional]
        hidden = {entry.item.call_id for entry in entries if entry.is_hidden and hasattr(entry.item, "call_id")}
        for entry in entries:
            match entry.item:
                case MessageItem():
                    lines.append(self._line(entry))
                case FunctionCallItem() as item:
                    names[item.call_id] = item
                case FunctionCallOutputItem(call_id=call_id, output=output):
                    took_ms, raw = self._answers.get(call_id, (None, output))
                    function_call = names.get(call_id)
                    calls.append(
                        ToolUse(
                            name=function_call.name if function_call else "",
                            arguments=function_call.arguments if function_call else "",
                            output=raw,
                            code=code_of(raw),
                            took_ms=None if took_ms is None else round(took_ms, 3),
                            line=len(lines),
                            is_client=call_id not in hidden,
                        )
                    )
        return tuple(lines), tuple(calls)

    def _line(self, entry: Entry) -> Line:
        item = entry.item
        assert isinstance(item, MessageItem)
        at_s = round(self._added_s.get(item.id, 0.0), 3)
        if item.role != "assistant":
            text = user_text(entry)
            role = "caller" if item.role == "user" else "system"
            return Line(role=role, text=text, words=len(text.split()), at_s=at_s, is_typed=is_typed(item))
        text = assistant_text(entry)
        # Words of a segment that was never announced are not part of the item, so the text alone does not show the interruption.
        is_cut = entry.is_truncated or entry.played_ms is not None
        # The notice that the call is recorded is the server's: the agent is not judged by it.
        assert self._engine is not None
        notice = self._engine.state.announcement
        role = "agent" if notice is None or entry.response_id != notice.response_id else "system"
        return Line(role=role, text=text, words=len(text.split()), at_s=at_s, is_cut=is_cut)

    def _check(self, step: ReplayedStep) -> None:
        if self.broken:
            return
        given = None if isinstance(step.given, Opened) else step.given
        try:
            self._invariants.check(step.engine, given, step.effects, step.now_s)
        except InvariantViolation as error:
            self.broken = str(error).partition(":")[0]

    def _output_left(self, response_id: str, at_s: float) -> None:
        trace = self._tap.output_left(response_id, at_s)
        if trace is not None:
            self.waits.append(Wait(total_ms=trace["total_ms"], parts_ms=trace["parts_ms"], work_ms=_work_ms(trace)))

    def _arrival_s(self, sample: int) -> float | None:
        """Session time at which a sample of the caller arrived, counted back from the end of the turn in real time."""
        if self._stopped is None:
            return None
        stopped_s, fact = self._stopped
        return stopped_s - max(0, fact.end_sample - sample) / INPUT_RATE_HZ


def _work_ms(trace: dict[str, Any]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for bar in trace["bars"]:
        if bar["part"] in WORKING:
            sums[bar["part"]] = sums.get(bar["part"], 0.0) + bar["end_ms"] - bar["start_ms"]
    return {part: round(ms, 3) for part, ms in sums.items()}


def _record_of(given: Input, now_s: float) -> JobResult | None:
    """A worker's result as `TurnTap` takes it. The log does not hold the time it spent in transit."""
    job_id: Any = getattr(given, "job_id", None)
    return None if job_id is None else JobResult(job_id, JobKind.LLM, 0, 1, b"", published_s=now_s)


def code_of(output: str) -> str:
    """The outcome code in a tool's answer: "" when it has none, FAILED when there is no answer."""
    if not output:
        return FAILED
    try:
        decoded = msgspec.json.decode(output.encode())
    except (msgspec.DecodeError, RecursionError):
        return ""
    if not isinstance(decoded, dict):
        return ""
    if "error" in decoded:
        return str(decoded["error"]).upper() if decoded["error"] in (UNKNOWN_TOOL, INVALID_ARGUMENTS) else FAILED
    code = decoded.get("code")
    return code if isinstance(code, str) else ""
