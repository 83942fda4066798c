"""What around the calls works and what does not, judged from one look after another.

Decides when something counts as away, when it counts as back, whether new calls may come in, and the names by which clients and
operators are told. Reads no clock and asks nobody: `watch` looks.

    mode                             means                                            what a call still has
    speech_recognition_unavailable   nobody turns speech into text                    typed input
    language_model_unavailable       the agent's language models are away             an apology, spoken
    speech_synthesis_unavailable     nobody speaks                                    the words of each answer
    tools_unavailable                nobody runs tools                                answers without them
    store_unavailable                the store refuses writes, is full, or is away    what it had; no new calls come in
    records_delayed                  PostgreSQL is away                               everything; its record comes later
"""

from enum import StrEnum

from agentvoicebox.broker.store_health import StoreHealth, WorkerPool
from agentvoicebox.errors import Overloaded
from agentvoicebox.gateway.pressure import Pressure
from agentvoicebox.ports.broker import JobKind

# A killed worker is started again and has loaded its model within 3 to 6 s; a caller waits about as long before he hangs up.
ABSENT_S = 8.0
# Looks, twice a second. A store that restarts misses one or two.
BAD_LOOKS = 4
GOOD_LOOKS = 6
MEMORY_FULL = 0.90  # of the store's limit: beyond it new calls would take the room of those that are there
MEMORY_FREE = 0.85
RETRY_AFTER_S = 5.0
QUEUES = (JobKind.STT, JobKind.LLM, JobKind.TTS, JobKind.TOOL)  # what callers wait for


class Mode(StrEnum):
    """What does not work."""

    NO_STT = "speech_recognition_unavailable"
    NO_LLM = "language_model_unavailable"
    NO_TTS = "speech_synthesis_unavailable"
    NO_TOOLS = "tools_unavailable"
    NO_STORE = "store_unavailable"
    NO_RECORDS = "records_delayed"


MODE_OF = {
    JobKind.STT: Mode.NO_STT,
    JobKind.LLM: Mode.NO_LLM,
    JobKind.TTS: Mode.NO_TTS,
    JobKind.TOOL: Mode.NO_TOOLS,
    JobKind.RECORD: Mode.NO_RECORDS,
}


class Surroundings:
    """One gateway's. Times are monotonic seconds.

    Attributes:
        absent: kinds of job that no worker takes.
        is_strained: the store takes nothing new.
    """

    def __init__(self, *, absent_s: float = ABSENT_S, pressure: Pressure | None = None) -> None:
        """`absent_s`: after so long without a worker its jobs are given up."""
        self.absent: frozenset[JobKind] = frozenset()
        self.is_strained = False
        self.pressure = pressure or Pressure()
        self._absent_s = absent_s
        self._crews: dict[JobKind, WorkerPool] = {}
        self._seen_s: dict[JobKind, float] = {}
        self._in_a_row = 0  # looks that speak against what is held of the store

    def looked(self, vitals: StoreHealth, now_s: float, *, late_s: float = 0.0) -> None:
        """The store answered. `late_s`: by how much the look itself came late, which is what everything here comes late by."""
        self._crews = dict(vitals.worker_pools)
        for kind, crew in vitals.worker_pools.items():
            if crew.alive or kind not in self._seen_s:
                self._seen_s[kind] = now_s
        self.absent = frozenset(kind for kind, at_s in self._seen_s.items() if now_s - at_s >= self._absent_s)
        self._judge_store(vitals.memory_share < (MEMORY_FREE if self.is_strained else MEMORY_FULL))
        waits_s = [
            crew.queue_age_s for kind, crew in vitals.worker_pools.items() if kind in QUEUES and kind not in self.absent
        ]
        self.pressure.note(max([late_s, *waits_s]))

    def missed(self) -> None:
        """The store did not answer, or takes no writes. Of workers nothing is known: each has all its time again."""
        self._seen_s = {}
        self._judge_store(False)

    def _judge_store(self, is_well: bool) -> None:
        self._in_a_row = self._in_a_row + 1 if is_well == self.is_strained else 0
        if self._in_a_row >= (GOOD_LOOKS if self.is_strained else BAD_LOOKS):
            self.is_strained, self._in_a_row = not self.is_strained, 0

    def modes(self, language_model: str) -> tuple[str, ...]:
        """What does not work for a call whose agent names this language model, in the order of `Mode`."""
        found = {Mode.NO_STORE} if self.is_strained else set()
        for kind, mode in MODE_OF.items():
            crew = self._crews.get(kind, WorkerPool())
            if kind in self.absent or crew.lacks(language_model if kind is JobKind.LLM else ""):
                found.add(mode)
        return tuple(mode.value for mode in Mode if mode in found)

    def refusal(self, calls: int) -> Overloaded | None:
        """Why no new call may come in now, beside so many; None: it may, and is counted."""
        if self.is_strained:
            return Overloaded(
                "This server can't take new calls for a moment; please call again.",
                code=Mode.NO_STORE.value,
                retry_after_s=RETRY_AFTER_S,
            )
        if not self.pressure.let_in(calls):
            return Overloaded(
                "This server is busy with the calls it has; please call again in a moment.", retry_after_s=RETRY_AFTER_S
            )
        return None
