"""What works beside the calls and what does not, judged from one check after another.

Decides when a service counts as absent and when as back, whether new calls are admitted, and the mode names that clients and
operators see. Reads no clock and asks no server: `health_monitor` checks.

    mode                             means                                            what a call still has
    speech_recognition_unavailable   no worker turns speech into text                 typed input
    language_model_unavailable       the agent's language models are away             an apology, spoken
    speech_synthesis_unavailable     no worker speaks                                 the words of each answer
    tools_unavailable                no worker runs tools                             answers without them
    store_full                       the store is nearly full                         what finishes its turns; nothing new
    store_unavailable                the store refuses writes, or is away             what it had; no new calls are admitted
    records_delayed                  PostgreSQL is away                               everything; its record comes later

The store's memory has three levels. While it fills up, new calls are refused; when it is nearly full, so is new work of existing
calls that no turn needs. Both begin long before the store is full and evicts keys with a time to live, of which no open call
needs any (`broker/keys`).
"""

from enum import IntEnum, StrEnum

from agentvoicebox.broker.store_health import StoreHealth, WorkerPool
from agentvoicebox.errors import Overloaded
from agentvoicebox.gateway.admission.answer_waits import AnswerWaits
from agentvoicebox.gateway.admission.load_shedder import LoadShedder
from agentvoicebox.ports.broker import JobKind

# A killed worker is restarted and has loaded its model within 3 to 6 s; a caller waits about as long before hanging up.
ABSENT_S = 8.0
# Checks, twice a second. A store that restarts misses one or two.
BAD_CHECKS = 4
GOOD_CHECKS = 6
RETRY_AFTER_S = 5.0
QUEUES = (JobKind.STT, JobKind.LLM, JobKind.TTS, JobKind.TOOL)  # what callers wait for


class MemoryLevel(IntEnum):
    """How full the store is."""

    FREE = 0
    FILLING = 1  # no new calls
    FULL = 2  # nor anything that no turn needs


# From which share of the store's limit on a level holds, and below which it ends.
LEVEL_BEGINS = {MemoryLevel.FILLING: 0.75, MemoryLevel.FULL: 0.85}
LEVEL_ENDS = {MemoryLevel.FILLING: 0.70, MemoryLevel.FULL: 0.80}


class Mode(StrEnum):
    """What does not work."""

    NO_STT = "speech_recognition_unavailable"
    NO_LLM = "language_model_unavailable"
    NO_TTS = "speech_synthesis_unavailable"
    NO_TOOLS = "tools_unavailable"
    FULL_STORE = "store_full"
    NO_STORE = "store_unavailable"
    NO_RECORDS = "records_delayed"


MODE_OF = {
    JobKind.STT: Mode.NO_STT,
    JobKind.LLM: Mode.NO_LLM,
    JobKind.TTS: Mode.NO_TTS,
    JobKind.TOOL: Mode.NO_TOOLS,
    JobKind.RECORD: Mode.NO_RECORDS,
}


class ServiceHealth:
    """One gateway's view. Times are monotonic seconds.

    Attributes:
        absent: kinds of job that no worker takes.
        is_store_unavailable: the store takes nothing new.
        memory_level: how full the store is.
        memory_share: the last observation, 0 to 1.
        load: whether the workers keep up.
        answers: how long callers wait for the engines.
        pools: the workers at the last check.
    """

    def __init__(self, *, absent_s: float = ABSENT_S, load: LoadShedder | None = None) -> None:
        """`absent_s`: after so many seconds without a worker a kind is absent."""
        self.absent: frozenset[JobKind] = frozenset()
        self.is_store_unavailable = False
        self.memory_level = MemoryLevel.FREE
        self.memory_share = 0.0
        self.load = load or LoadShedder()
        self.answers = AnswerWaits()
        self._absent_s = absent_s
        self.pools: dict[JobKind, WorkerPool] = {}
        self._seen_s: dict[JobKind, float] = {}
        self._in_a_row = 0  # checks that contradict `is_store_unavailable`
        self._level_in_a_row = 0  # checks that contradict `memory_level`, in one direction

    def update(self, store: StoreHealth, now_s: float, *, late_s: float = 0.0) -> None:
        """The store answered a check. `late_s`: how late this process is."""
        self.pools = dict(store.worker_pools)
        for kind, pool in store.worker_pools.items():
            if pool.alive or kind not in self._seen_s:
                self._seen_s[kind] = now_s
        self.absent = frozenset(kind for kind, at_s in self._seen_s.items() if now_s - at_s >= self._absent_s)
        self._judge_store(True)
        self._judge_memory(store.memory_share)
        waits_s = [
            pool.queue_age_s for kind, pool in store.worker_pools.items() if kind in QUEUES and kind not in self.absent
        ]
        self.load.observe(max([late_s, *waits_s]))
        self.answers.checked()

    def store_failed(self) -> None:
        """The store did not answer, or takes no writes. Of workers nothing is known, so their absence is timed anew."""
        self._seen_s = {}
        self._judge_store(False)

    def _judge_store(self, is_good: bool) -> None:
        self._in_a_row = self._in_a_row + 1 if is_good == self.is_store_unavailable else 0
        if self._in_a_row >= (GOOD_CHECKS if self.is_store_unavailable else BAD_CHECKS):
            self.is_store_unavailable, self._in_a_row = not self.is_store_unavailable, 0

    def _judge_memory(self, share: float) -> None:
        self.memory_share = share
        level = max(
            (
                each
                for each in LEVEL_BEGINS
                if share >= (LEVEL_ENDS if each <= self.memory_level else LEVEL_BEGINS)[each]
            ),
            default=MemoryLevel.FREE,
        )
        direction = (level > self.memory_level) - (level < self.memory_level)
        self._level_in_a_row = direction if direction * self._level_in_a_row <= 0 else self._level_in_a_row + direction
        if self._level_in_a_row >= BAD_CHECKS or self._level_in_a_row <= -GOOD_CHECKS:
            self.memory_level, self._level_in_a_row = level, 0

    @property
    def takes_new_calls(self) -> bool:
        """Whether the store has room for new calls."""
        return not self.is_store_unavailable and self.memory_level is MemoryLevel.FREE

    @property
    def is_store_full(self) -> bool:
        """Whether only what finishes a turn is accepted."""
        return self.memory_level is MemoryLevel.FULL

    def modes(self, language_model: str) -> tuple[str, ...]:
        """What does not work for a call whose agent uses this language model, in the order of `Mode`."""
        found = {Mode.NO_STORE} if self.is_store_unavailable else set()
        if self.is_store_full:
            found.add(Mode.FULL_STORE)
        for kind, mode in MODE_OF.items():
            pool = self.pools.get(kind, WorkerPool())
            if kind in self.absent or pool.lacks(language_model if kind is JobKind.LLM else ""):
                found.add(mode)
        return tuple(mode.value for mode in Mode if mode in found)

    def refusal(self, calls: int) -> Overloaded | None:
        """Why no new call is admitted beside `calls` existing ones; None when it is admitted, and counted."""
        if self.is_store_unavailable:
            return Overloaded(
                "This server can't take new calls for a moment; please call again.",
                code=Mode.NO_STORE.value,
                retry_after_s=RETRY_AFTER_S,
            )
        if self.memory_level is not MemoryLevel.FREE:
            return Overloaded(
                "This server's memory is filling up; please call again in a moment.",
                code=Mode.FULL_STORE.value,
                retry_after_s=RETRY_AFTER_S,
            )
        if (calls and self.answers.is_too_long) or not self.load.admit(calls):
            return Overloaded(
                "This server is busy with the calls it has; please call again in a moment.", retry_after_s=RETRY_AFTER_S
            )
        return None
