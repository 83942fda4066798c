"""The rules evaluated in this process, on the loop's own thread: some 40 µs an answer (benchmarks/auth_and_limits.py).

A folder of rules is looked at again every few seconds; rules that can't be used are reported, and the former ones stay.
"""

from pathlib import Path

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import SettingsError
from agentvoicebox.policy.answer import read_decision
from agentvoicebox.policy.bundle import DATA_FILE, read_bundle
from agentvoicebox.policy.rules import Rules
from agentvoicebox.ports.policy import Decision, Question
from agentvoicebox.telemetry.logs import get_logger

LOOK_EVERY_S = 5.0

log = get_logger(__name__)


class EmbeddedPolicy:
    """Implements ports.policy. To be used on the thread that makes it.

    Args:
        folder: of the rules; empty: the shipped ones, which never change.

    Raises:
        SettingsError: the rules are at fault; the first fault with its file and line.
    """

    def __init__(self, folder: str = "", *, clock: Clock | None = None) -> None:
        self._folder = folder
        self._clock = clock or SystemClock()
        self._seen = _state(folder)
        self._rules = Rules(read_bundle(folder))
        self._look_at_s = self._clock.monotonic_s() + LOOK_EVERY_S

    @property
    def version(self) -> str:
        """See ports.policy."""
        return self._rules.version

    async def decide(self, question: Question) -> Decision:
        """See ports.policy."""
        self._look_again()
        return read_decision(self._rules.evaluate(question))

    async def close(self) -> None:
        """See ports.policy."""

    def _look_again(self) -> None:
        """Take other rules when the files are others."""
        now_s = self._clock.monotonic_s()
        if not self._folder or now_s < self._look_at_s:
            return
        self._look_at_s = now_s + LOOK_EVERY_S
        seen = _state(self._folder)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._rules = Rules(read_bundle(self._folder))
        except SettingsError as error:
            log.error("the policy changed and can't be used; the former rules hold", fault=error.message)
        else:
            log.info("the policy changed", version=self._rules.version)


def _state(folder: str) -> frozenset[tuple[str, int, int]]:
    """What tells changed files from unchanged ones without reading them."""
    found = set()
    for path in [*Path(folder).rglob("*.rego"), Path(folder) / DATA_FILE] if folder else []:
        try:
            stat = path.stat()
        except OSError:
            continue  # gone, or not there: that is what the state says
        found.add((str(path), stat.st_mtime_ns, stat.st_size))
    return frozenset(found)
