"""Records interactions without delaying calls: one thread, a bounded queue, and a count of what did not fit.

A role puts tapes and webhook interactions in; the thread replays, judges, redacts and writes them. It sleeps between the steps
of a tape, so that it never holds the interpreter from live calls for more than about a millisecond. Nothing here raises into
a call: what can't be kept is counted and logged.
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
from agentvoicebox.privacy.identifiers import IdentifierMask
from agentvoicebox.telemetry.logs import get_logger

JudgeOf = Callable[[Sequence[str]], InteractionJudge | None]
ROOM = 256  # interactions waiting; more calls than that never end within a second on one gateway
REST_S = 0.0005
STEPS_BETWEEN_RESTS = 4  # of about 0.2 ms each, digests included
HOUR_S = 3_600.0

log = get_logger(__name__)


class InteractionRecorder:
    """One for each process. Created when the role starts, closed when it has drained.

    Args:
        folder: of the day files.
        keep_days: before a day is archived.
        keeps_words: local mode; see `redaction`.
        redactor: removes what may not be kept.
        judge_of: the judge of an agent with tools of these names; None: nobody judges it.

    Attributes:
        written, dropped, failed: interactions so far: written, dropped because the queue was full, or unreadable or unwritable.
    """

    def __init__(
        self,
        folder: Path,
        *,
        keep_days: int = 30,
        keeps_words: bool = False,
        redactor: InteractionRedactor | None = None,
        judge_of: JudgeOf = lambda tool_names: None,
        clock: Clock | None = None,
        room: int = ROOM,
    ) -> None:
        self._files = DayFiles(folder, keep_days=keep_days)
        self._keeps_words = keeps_words
        self._redactor = redactor or InteractionRedactor(IdentifierMask())
        self._judge_of = judge_of
        self._clock = clock or SystemClock()
        self._waiting: queue.Queue[Tape | Interaction | None] = queue.Queue(maxsize=room)
        self._thread: threading.Thread | None = None
        self._archived_s = 0.0
        self.written = 0
        self.dropped = 0
        self.failed = 0

    def start(self) -> None:
        """Start writing, also what was queued before."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="interactions", daemon=True)
            self._thread.start()

    def put(self, what: Tape | Interaction) -> None:
        """Queue a tape whose session is over, or a finished interaction with all its words. Never blocks."""
        try:
            self._waiting.put_nowait(what)
        except queue.Full:
            self.dropped += 1

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what is queued within the timeout, and stop. Idempotent. Blocks: call it in a thread from an event loop."""
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
            log.warning("interactions were not kept", waiting=waiting, dropped=self.dropped, failed=self.failed)

    def _run(self) -> None:
        while (what := self._waiting.get()) is not None:
            try:
                self._keep(what)
            except NotALog as error:  # of a session that another gateway began
                self.failed += 1
                log.warning("an interaction can't be read from its log", error=str(error))
            except Exception:  # ours or the disk's: the call is over anyway, and the next interaction may be written
                self.failed += 1
                log.exception("an interaction was not kept")

    def _keep(self, what: Tape | Interaction) -> None:
        interaction = self.finished(what)
        wall_s = self._clock.wall_s()
        self._files.append(encode(interaction), wall_s)
        self.written += 1
        if abs(wall_s - self._archived_s) >= HOUR_S:
            self._archived_s = wall_s
            self._files.archive(wall_s)

    def finished(self, what: Tape | Interaction) -> Interaction:
        """The interaction as it is kept.

        Raises:
            NotALog: the tape has no beginning.
        """
        if isinstance(what, Interaction):
            what = self._judged(what)
            return self._redactor.redacted(what, masked_digests="", keeps_words=self._keeps_words)
        if not what.log:
            raise NotALog("the session ended before it was opened")
        call = interaction_of_log(
            what.log,
            correlation_id=what.correlation_id,
            is_whole=what.is_whole,
            wants_masked=not self._keeps_words,
            judge_of=self._judge_of,
            rest=_Rests(),
        )
        interaction = call.interaction
        if interaction.digests != what.digests.hex():
            # The engine is not deterministic: a bug of ours. The interaction keeps the evidence.
            log.error("a call did not replay to the same effects", session_id=interaction.call_id)
            interaction = msgspec.structs.replace(
                interaction, laws_broken=interaction.laws_broken or "same log, same effects"
            )
        interaction = msgspec.structs.replace(interaction, digests=what.digests.hex(), tenant_id=what.tenant_id)
        return self._redactor.redacted(interaction, masked_digests=call.masked_digests, keeps_words=self._keeps_words)

    def _judged(self, interaction: Interaction) -> Interaction:
        """A webhook's sentences compared with their own data, while both are at hand."""
        judge = self._judge_of([use.name for use in interaction.tool_calls])
        if judge is None or interaction.judgement is not None:
            return interaction
        return msgspec.structs.replace(interaction, judgement=judge_webhook(judge, interaction))


class _Rests:
    """Yields the interpreter to other threads every few steps."""

    def __init__(self) -> None:
        self._steps = 0

    def __call__(self) -> None:
        self._steps += 1
        if self._steps % STEPS_BETWEEN_RESTS == 0:
            time.sleep(REST_S)
