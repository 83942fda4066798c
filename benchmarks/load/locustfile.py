"""Locust's users: each makes one call after another. What they measure comes from `calls`; what a run is, from the plan.

`python -m benchmarks.load` writes the plan and starts Locust with this file. Locust decides who calls when, counts, and reports.
"""

import json
import os
import random
import time
from pathlib import Path
from typing import Any

from benchmarks.load.caller_pool import CallerPool
from benchmarks.load.plan import VARIABLE, Plan
from locust import User, events, stats, task
from locust.env import Environment
from locust.exception import StopUser

stats.PERCENTILES_TO_CHART = [0.5, 0.95, 0.99]
stats.PERCENTILES_TO_STATISTICS = [0.5, 0.95, 0.99]

PLAN_FILE = Path(os.environ[VARIABLE])
PLAN = Plan.from_line(PLAN_FILE.read_text())
PLAN_FILE.unlink()  # it holds keys, and whoever wrote it may be killed
LOG = Path(PLAN.samples).open("w", buffering=1)  # noqa: SIM115 - it is open as long as Locust runs


class CallFault(Exception):
    """Why a request failed, for Locust's table of failures."""


class Caller(User):
    """A person who calls again and again."""

    abstract = True
    kind = ""
    count = 0
    pool: CallerPool | None = None

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.key = self.choose_key(Caller.count)
        Caller.count += 1

    def choose_key(self, number: int) -> str:
        """Callers take the keys in turn, so that every tenant has callers of every kind."""
        return PLAN.keys[number % len(PLAN.keys)]

    def wait_time(self) -> float:
        """Between two calls, s; by chance, so that callers are never in step."""
        return PLAN.pause_s * random.uniform(0.5, 1.0)

    @task
    def call(self) -> None:
        """One call."""
        if Caller.pool is None:
            raise StopUser
        for sample in Caller.pool.call(self.kind, self.key):
            LOG.write(sample.as_line() + "\n")
            self.environment.events.request.fire(
                request_type=sample.kind,
                name=sample.name,
                response_time=sample.ms,
                response_length=0,
                exception=CallFault(sample.fault) if sample.fault else None,
                context={},
            )


class SpokenCaller(Caller):
    """Asks by voice."""

    weight = 5
    kind = "spoken"


class InterruptingCaller(Caller):
    """Speaks into the answers."""

    weight = 2
    kind = "interrupting"


class TypingCaller(Caller):
    """Types, and is answered by voice."""

    weight = 2
    kind = "typed"


if PLAN.limited_key:

    class LimitedCaller(Caller):
        """One of a tenant with too few places for all its callers."""

        weight = 1
        kind = "spoken"

        def choose_key(self, number: int) -> str:
            """All share one."""
            return PLAN.limited_key


@events.test_start.add_listener
def start(environment: Environment, **_: Any) -> None:
    """Start the processes of callers; without all of them a run is no measurement, so that it ends when one does."""
    Caller.pool = CallerPool(PLAN, on_death=lambda: environment.runner and environment.runner.quit())


@events.spawning_complete.add_listener
def note_ramp(user_count: int, **_: Any) -> None:
    """All callers are there: from here on figures count."""
    LOG.write(json.dumps({"ramped_at_s": time.time(), "callers": user_count}) + "\n")


@events.quitting.add_listener
def end(environment: Environment, **_: Any) -> None:
    """Hang up, end the processes."""
    LOG.write(json.dumps({"ended_at_s": time.time()}) + "\n")
    environment.process_exit_code = 0  # failures are figures here; the command judges them
    if Caller.pool is not None:
        Caller.pool.close()
