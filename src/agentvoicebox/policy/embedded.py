"""The rules evaluated in this process, on the loop's own thread: some 40 µs per decision (benchmarks/auth_and_limits.py).

A folder of rules is checked for changes every few seconds; invalid rules are reported, and the previous ones stay in force.
"""

from pathlib import Path

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import SettingsError
from agentvoicebox.policy.answer import read_decision
from agentvoicebox.policy.bundle import DATA_FILE, read_bundle
from agentvoicebox.policy.rules import RegoRules
from agentvoicebox.ports.policy import Decision, PolicyRequest
from agentvoicebox.telemetry.logs import get_logger

CHECK_EVERY_S = 5.0

log = get_logger(__name__)


class EmbeddedPolicy:
    """Implements ports.policy. Use it on the thread that created it.

    Args:
        folder: of the rules; empty: the shipped ones, which never change.

    Raises:
        SettingsError: the rules are invalid; the first error with its file and line.
    """

    def __init__(self, folder: str = "", *, clock: Clock | None = None) -> None:
        self._folder = folder
        self._clock = clock or SystemClock()
        self._seen = _state(folder)
        self._rules = RegoRules(read_bundle(folder))
        self._next_check_s = self._clock.monotonic_s() + CHECK_EVERY_S

    @property
    def breaker(self) -> None:
        """See ports.policy. There is no server."""
        return None

    @property
    def version(self) -> str:
        """See ports.policy."""
        return self._rules.version

    async def decide(self, request: PolicyRequest) -> Decision:
        """See ports.policy."""
        self._reload_if_changed()
        return read_decision(self._rules.evaluate(request))

    async def close(self) -> None:
        """See ports.policy."""

    def _reload_if_changed(self) -> None:
        """Load the rules again if the files changed."""
        now_s = self._clock.monotonic_s()
        if not self._folder or now_s < self._next_check_s:
            return
        self._next_check_s = now_s + CHECK_EVERY_S
        seen = _state(self._folder)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._rules = RegoRules(read_bundle(self._folder))
        except SettingsError as error:
            log.error("the changed policy is invalid; the previous rules stay in force", fault=error.message)
        else:
            log.info("the policy changed", version=self._rules.version)


def _state(folder: str) -> frozenset[tuple[str, int, int]]:
    """A fingerprint that detects changed files without reading them."""
    found = set()
    for path in [*Path(folder).rglob("*.rego"), Path(folder) / DATA_FILE] if folder else []:
        try:
            stat = path.stat()
        except OSError:
            continue  # deleted: the fingerprint shows this
        found.add((str(path), stat.st_mtime_ns, stat.st_size))
    return frozenset(found)
