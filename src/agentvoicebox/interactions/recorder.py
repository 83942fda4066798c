"""Records interactions without delaying calls: one thread with a bounded queue, and a count of dropped interactions.

A role queues tapes and webhook interactions; the thread replays, judges, redacts and writes them. It sleeps between the steps
of a tape, so that it never blocks live calls for more than about a millisecond. It never raises into a call: an interaction that
can't be recorded is counted and logged.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.interactions.day_files import DayFiles
from agentvoicebox.interactions.from_log import interaction_of_log
from agentvoicebox.interactions.interaction import Interaction, encode
from agentvoicebox.interactions.judge import InteractionJudge, judge_webhook
from agentvoicebox.interactions.redaction import InteractionRedactor
from agentvoicebox.interactions.rerun import NotALog
from agentvoicebox.interactions.tape import Tape
from agentvoicebox.interactions.verdict import IMPOSSIBLE, ReplayVerdict, verdict_of
from agentvoicebox.privacy.identifiers import IdentifierMask
from agentvoicebox.telemetry.logs import get_logger

JudgeOf = Callable[[Sequence[str]], InteractionJudge | None]
OnVerdict = Callable[[Tape, ReplayVerdict], None]
QUEUE_SIZE = 256  # interactions; more calls never end within a second on one gateway
PAUSE_S = 0.0005
STEPS_PER_PAUSE = 4  # of about 0.2 ms each, digests included
HOUR_S = 3_600.0

log = get_logger(__name__)


class InteractionRecorder:
    """One for each process. Created when the role starts, closed when it has drained.

    Args:
        folder: folder of the day files.
        keep_days: days before a file is archived.
        keeps_words: local mode; see `redaction`.
        redactor: removes what must not be stored.
        judge_of: tool names of an agent → its judge; None if there is no judge.
        on_verdict: called in the thread with each tape's verdict, whether or not its interaction can be written.
        queue_size: most interactions that wait to be written.

    Attributes:
        written: number of interactions written.
        dropped: number of interactions dropped because the queue was full.
        failed: number of interactions that could not be read or written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        keep_days: int = 30,
        keeps_words: bool = False,
        redactor: InteractionRedactor | None = None,
        judge_of: JudgeOf = lambda tool_names: None,
        on_verdict: OnVerdict = lambda tape, verdict: None,
        clock: Clock | None = None,
        queue_size: int = QUEUE_SIZE,
    ) -> None:
        self._files = DayFiles(folder, keep_days=keep_days)
        self._keeps_words = keeps_words
        self._redactor = redactor or InteractionRedactor(IdentifierMask())
        self._judge_of = judge_of
        self._on_verdict = on_verdict
        self._clock = clock or SystemClock()
        self._waiting: queue.Queue[Tape | Interaction | None] = queue.Queue(maxsize=queue_size)
        self._thread: threading.Thread | None = None
        self._archived_s = 0.0
        self.written = 0
        self.dropped = 0
        self.failed = 0

    def start(self) -> None:
        """Start the thread; it also writes what was queued before."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="interactions", daemon=True)
            self._thread.start()

    def put(self, what: Tape | Interaction) -> None:
        """Queue the tape of an ended session, or a finished interaction with all its words. Never blocks."""
        try:
            self._waiting.put_nowait(what)
        except queue.Full:
            self.dropped += 1

    def give_up(self, tape: Tape) -> None:
        """The recording of a session has gaps: nothing is written, and its replay is impossible."""
        self._on_verdict(tape, IMPOSSIBLE)

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what is queued, within the timeout, and stop. Idempotent. Blocks: on an event loop, call it in a thread."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        try:
            self._waiting.put(None, timeout=timeout_s)
            thread.join(timeout_s)
        except queue.Full:
            pass
        if thread.is_alive() or self.dropped or self.failed:
            waiting = self._waiting.qsize()
            log.warning("interactions were not recorded", waiting=waiting, dropped=self.dropped, failed=self.failed)

    def _run(self) -> None:
        while (what := self._waiting.get()) is not None:
            try:
                self._write(what)
            except NotALog as error:  # the session began on another gateway
                self.failed += 1
                log.warning("an interaction can't be read from its log", error=str(error))
            except Exception:  # a bug or a disk error: the call is over, and the next interaction may succeed
                self.failed += 1
                log.exception("an interaction was not recorded")

    def _write(self, what: Tape | Interaction) -> None:
        interaction = self.finished(what)
        wall_s = self._clock.wall_s()
        self._files.append(encode(interaction), wall_s)
        self.written += 1
        if abs(wall_s - self._archived_s) >= HOUR_S:
            self._archived_s = wall_s
            self._files.archive(wall_s)

    def finished(self, what: Tape | Interaction) -> Interaction:
        """The interaction as it is stored.

        Raises:
            NotALog: the tape has no entry, or does not begin with `Opened`.
        """
        if isinstance(what, Interaction):
            what = self._judged(what)
            return self._redactor.redacted(what, masked_digests="", keeps_words=self._keeps_words)
        try:
            interaction, masked_digests, verdict = self._replayed(what)
        except Exception:
            self._on_verdict(what, IMPOSSIBLE)
            raise
        self._on_verdict(what, verdict)
        return self._redactor.redacted(interaction, masked_digests=masked_digests, keeps_words=self._keeps_words)

    def _replayed(self, what: Tape) -> tuple[Interaction, str, ReplayVerdict]:
        """The interaction with all its words, its masked digests, and the verdict."""
        if not what.log:
            raise NotALog("the session ended before it was opened")
        call = interaction_of_log(
            what.log,
            correlation_id=what.correlation_id,
            is_whole=what.is_whole,
            wants_masked=not self._keeps_words,
            judge_of=self._judge_of,
            after_step=_Pauses(),
        )
        interaction = call.interaction
        verdict = verdict_of(interaction, is_same=interaction.digests == what.digests.hex())
        if interaction.digests != what.digests.hex():
            # The engine was not deterministic: a bug. The interaction keeps the evidence.
            log.error("a call did not replay to the same effects", session_id=interaction.call_id)
            interaction = msgspec.structs.replace(
                interaction, invariant_broken=interaction.invariant_broken or "same log, same effects"
            )
        interaction = msgspec.structs.replace(interaction, digests=what.digests.hex(), tenant_id=what.tenant_id)
        return interaction, call.masked_digests, verdict

    def _judged(self, interaction: Interaction) -> Interaction:
        """Judge a webhook's sentences while words and data are still available."""
        judge = self._judge_of([use.name for use in interaction.tool_calls])
        if judge is None or interaction.judgement is not None:
            return interaction
        return msgspec.structs.replace(interaction, judgement=judge_webhook(judge, interaction))


class _Pauses:
    """Lets other threads run every few steps."""

    def __init__(self) -> None:
        self._steps = 0

    def __call__(self) -> None:
        self._steps += 1
        if self._steps % STEPS_PER_PAUSE == 0:
            time.sleep(PAUSE_S)
