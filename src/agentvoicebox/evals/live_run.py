"""Replays a set of interactions against running servers, one after the other, with progress and a limit for each call.

Decides when to stop: at once if no server answers, and after three failures in a row; a route that refuses one request gets no
more. `replay_live` replays a single interaction.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import httpx

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import InfrastructureError
from agentvoicebox.evals.kit_choice import KitChoice
from agentvoicebox.evals.replay import Replay, has_no_body, verdict
from agentvoicebox.evals.replay_live import RouteRefused, ServerUnavailable, replay_lines, replay_webhook
from agentvoicebox.evals.scenario import Tolerance
from agentvoicebox.evals.webhook_address import read_address, route_of
from agentvoicebox.interactions.interaction import Interaction
from agentvoicebox.realtime_client.dialing import CallFailed, CallOptions, CallUnreachable

OTHER_ROUTE = "the given address is that of another route; give the server's base address"
MOST_FAILURES = 3  # in a row: the server is in trouble, or these are not its calls
FAST_LIMIT_S = 60.0  # for a call whose replies come as text
REAL_TIME_LIMIT_S = 600.0  # for a call that is listened to


class TooManyFailures(InfrastructureError):
    """Several replays in a row failed."""

    code = "too_many_failures"


class LiveRun:
    """One run over a set of interactions.

    Args:
        choice: the kits.
        tolerances: by scenario.
        on_step: called before each replay with a line about it: which of how many, and the time so far.
        replays: the list to extend, so that an interrupted run leaves what it has.
        clock: for the time so far.
    """

    def __init__(
        self,
        choice: KitChoice,
        tolerances: Mapping[str, Tolerance],
        *,
        on_step: Callable[[str], None],
        replays: list[Replay],
        clock: Clock | None = None,
    ) -> None:
        self._choice = choice
        self._tolerances = tolerances
        self._on_step = on_step
        self._replays = replays
        self._clock = clock or SystemClock()
        self._began_s = self._clock.monotonic_s()
        self._failures = 0  # in a row

    async def calls(
        self, interactions: Sequence[Interaction], options: CallOptions, *, listens: bool = False, limit_s: float = 0.0
    ) -> None:
        """Send the lines of each call again.

        Args:
            interactions: those without a transcript are left out.
            options: the server; the agent is that of the recording.
            listens: hear each reply in real time.
            limit_s: for one call; 0: FAST_LIMIT_S, or REAL_TIME_LIMIT_S for one that is listened to.

        Raises:
            CallUnreachable: no server answers. TooManyFailures: three calls in a row failed.
        """
        limit_s = limit_s or (REAL_TIME_LIMIT_S if listens else FAST_LIMIT_S)
        spoken = [each for each in interactions if each.transcript]
        for number, each in enumerate(spoken, start=1):
            self._show("call", number, len(spoken), each)
            evaluation = self._choice.evaluation(each)
            called = replace(options, model=each.agent or evaluation.agent)
            try:
                async with asyncio.timeout(limit_s):
                    replay = await replay_lines(each, called, self._tolerance(each), evaluation, listens=listens)
            except TimeoutError:
                replay = verdict(each, "lines", "failed", f"the call did not end within {limit_s:g} s")
            except CallFailed as error:
                if number == 1 and isinstance(error, CallUnreachable):
                    raise
                replay = verdict(each, "lines", "failed", error.message)
            self._add(replay)

    async def requests(
        self, interactions: Sequence[Interaction], client: httpx.AsyncClient, address: str, headers: Mapping[str, str]
    ) -> None:
        """POST each recorded request to its own route.

        Args:
            interactions: those without a request are left out.
            client: sends the requests.
            address: see `read_address`.
            headers: credentials of the server under test.

        Raises:
            BadAddress: of the address. ServerUnavailable: no server answers. TooManyFailures: three requests in a row failed.
        """
        asked = [each for each in interactions if each.request is not None]
        routes = [route_of(each, self._choice.evaluation(each)) for each in asked]
        target = read_address(address, frozenset(routes))
        refused: dict[str, str] = {}
        for number, (each, route) in enumerate(zip(asked, routes, strict=True), start=1):
            self._show("request", number, len(asked), each)
            if not (url := target.url_of(route)):
                self._replays.append(verdict(each, "webhook", "impossible", OTHER_ROUTE))
                continue
            if url in refused and each.has_words and not has_no_body(each.request):
                self._replays.append(verdict(each, "webhook", "failed", refused[url]))
                continue
            evaluation, tolerance = self._choice.evaluation(each), self._tolerance(each)
            try:
                replay = await replay_webhook(each, client, url, tolerance, evaluation, headers=headers)
            except RouteRefused as error:
                refused[url] = error.message
                self._replays.append(verdict(each, "webhook", "failed", error.message))
                continue
            except ServerUnavailable as error:
                if number == 1:
                    raise
                replay = verdict(each, "webhook", "failed", error.message)
            self._add(replay)

    def _add(self, replay: Replay) -> None:
        self._replays.append(replay)
        self._failures = self._failures + 1 if replay.verdict == "failed" else 0
        if self._failures >= MOST_FAILURES:
            raise TooManyFailures(f"{MOST_FAILURES} replays in a row failed; the last one: {replay.why}")

    def _tolerance(self, interaction: Interaction) -> Tolerance:
        return self._tolerances.get(interaction.scenario, Tolerance())

    def _show(self, what: str, number: int, of: int, interaction: Interaction) -> None:
        minutes, seconds = divmod(round(self._clock.monotonic_s() - self._began_s), 60)
        name = interaction.scenario or interaction.call_id
        self._on_step(f"{what} {number} of {of}, {minutes}:{seconds:02d} so far: {name}")
