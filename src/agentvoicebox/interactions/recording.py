"""Keeps interactions without ever touching a call: one thread, a bounded queue, and a count of what didn't fit.

A role puts tapes and webhook interactions in; the thread tells, redacts, and writes them. It rests between the steps of a
tape, so that it never holds the interpreter from live calls for more than about a millisecond. Nothing here raises into a
call: what can't be kept is counted and logged.
"""

import queue
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.interactions.day_files import DayFiles
from agentvoicebox.interactions.interaction import Interaction, Judgement, encode
from agentvoicebox.interactions.of_log import interaction_of_log
from agentvoicebox.interactions.redaction import redacted
from agentvoicebox.interactions.rerun import NotALog
from agentvoicebox.interactions.tape import Tape
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox_delivery.grounding.interactions import speech_faults
from agentvoicebox_delivery.parcels import track

ROOM = 256  # interactions waiting; more calls than that never end within a second on one gateway
REST_S = 0.0005
STEPS_BETWEEN_RESTS = 4  # of about 0.2 ms each, digests included
HOUR_S = 3_600.0

log = get_logger(__name__)


class Recording:
    """One process's. Made when the role starts, closed when it has drained.

    Args:
        folder: of the day files.
        keep_days: before a day is archived.
        keeps_words: local mode; see `redaction`.

    Attributes:
        written, dropped, failed: interactions so far: kept, without room, or impossible to tell or write.
    """

    def __init__(
        self,
        folder: Path,
        *,
        keep_days: int = 30,
        keeps_words: bool = False,
        clock: Clock | None = None,
        room: int = ROOM,
    ) -> None:
        self._files = DayFiles(folder, keep_days=keep_days)
        self._keeps_words = keeps_words
        self._clock = clock or SystemClock()
        self._waiting: queue.Queue[Tape | Interaction | None] = queue.Queue(maxsize=room)
        self._thread: threading.Thread | None = None
        self._archived_s = 0.0
        self.written = 0
        self.dropped = 0
        self.failed = 0

    def start(self) -> None:
        """Begin to write. What was put in before is written now."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="interactions", daemon=True)
            self._thread.start()

    def put(self, what: Tape | Interaction) -> None:
        """Hand over what is to be kept: a tape whose session is over, or a finished interaction with all its words."""
        try:
            self._waiting.put_nowait(what)
        except queue.Full:
            self.dropped += 1

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what waits, for so long at most, and end. Idempotent. Blocks: call it in a thread from a loop."""
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
                log.warning("an interaction can't be told", error=str(error))
            except Exception:  # of ours or the disk's: the next interaction may do better, the call is over anyway
                self.failed += 1
                log.exception("an interaction was not kept")

    def _keep(self, what: Tape | Interaction) -> None:
        interaction = self.told(what)
        wall_s = self._clock.wall_s()
        self._files.append(encode(interaction), wall_s)
        self.written += 1
        if abs(wall_s - self._archived_s) >= HOUR_S:
            self._archived_s = wall_s
            self._files.archive(wall_s)

    def told(self, what: Tape | Interaction) -> Interaction:
        """What is kept of it.

        Raises:
            NotALog: the tape has no beginning.
        """
        if isinstance(what, Interaction):
            what = _judged(what)
            return redacted(what, masked_digests="", keeps_words=self._keeps_words)
        if not what.log:
            raise NotALog("the session ended before it was opened")
        told = interaction_of_log(
            what.log,
            correlation_id=what.correlation_id,
            is_whole=what.is_whole,
            wants_masked=not self._keeps_words,
            rest=_Rests(),
        )
        interaction = told.interaction
        if interaction.digests != what.digests.hex():
            # The law of the house is broken: somebody must look into it, and the interaction keeps the evidence.
            log.error("a call did not replay to the same effects", session_id=interaction.call_id)
            interaction = msgspec.structs.replace(
                interaction, laws_broken=interaction.laws_broken or "same log, same effects"
            )
        interaction = msgspec.structs.replace(interaction, digests=what.digests.hex(), tenant_id=what.tenant_id)
        return redacted(interaction, masked_digests=told.masked_digests, keeps_words=self._keeps_words)


def _judged(interaction: Interaction) -> Interaction:
    """A webhook's sentences held against their own data, while both are at hand."""
    if interaction.judgement is not None or not interaction.tool_calls:
        return interaction
    today = datetime.fromtimestamp(interaction.began_s, UTC).date()
    faults = [fault for use in interaction.tool_calls for fault in speech_faults(use, today)]
    found = sum(use.code == track.FOUND for use in interaction.tool_calls)
    return msgspec.structs.replace(interaction, judgement=Judgement(claims=found, unfounded=tuple(faults)))


class _Rests:
    """Gives the interpreter back now and then."""

    def __init__(self) -> None:
        self._steps = 0

    def __call__(self) -> None:
        self._steps += 1
        if self._steps % STEPS_BETWEEN_RESTS == 0:
            time.sleep(REST_S)
