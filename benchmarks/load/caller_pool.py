"""The callers' processes, for Locust's greenlets: a call is an order to one of them, and the samples that it sends back."""

import itertools
import json
import logging
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
from benchmarks.load.plan import Plan
from benchmarks.load.sample import Sample
from gevent.queue import Queue
from gevent.subprocess import PIPE, Popen

ROOT = Path(__file__).parents[2]
READY_WITHIN_S = 60.0
ENDS_WITHIN_S = 10.0


class CallerPool:
    """The processes of a run, from ready to gone.

    Args:
        plan: the run.
        on_death: called when a process ends by itself.
    """

    def __init__(self, plan: Plan, on_death: Callable[[], object]) -> None:
        """Raises RuntimeError when a process does not start; its own words are on standard error."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
        command = [plan.python, "-m", "benchmarks.load.caller_process"]
        self._on_death = on_death
        self._is_closing = False
        self._numbers = itertools.count(1)
        self._samples: dict[int, Queue] = {}
        self._processes = [
            Popen(command, stdin=PIPE, stdout=PIPE, env=environment, text=True, bufsize=1)
            for _ in range(plan.processes)
        ]
        for process in self._processes:
            process.stdin.write(plan.as_line() + "\n")
        with gevent.Timeout(READY_WITHIN_S, RuntimeError(f"the callers are not ready after {READY_WITHIN_S:.0f} s")):
            for process in self._processes:
                if "is_ready" not in process.stdout.readline():
                    raise RuntimeError("a process of callers did not start")
        self._readers = [gevent.spawn(self._read, process) for process in self._processes]

    def call(self, kind: str, key: str) -> Iterator[Sample]:
        """Make a call; gives its samples as they come. Closing the iterator hangs up."""
        number = next(self._numbers)
        process = self._processes[number % len(self._processes)]
        samples = self._samples[number] = Queue()
        is_over = False
        try:
            self._tell(process, {"call": number, "kind": kind, "key": key})
            while (sample := samples.get()) is not None:
                yield sample
            is_over = True
        finally:
            del self._samples[number]
            if not is_over:
                self._tell(process, {"cancel": number})

    def close(self) -> None:
        """Hang up all calls and end the processes."""
        self._is_closing = True
        for process in self._processes:
            process.stdin.close()
        for process in self._processes:
            try:
                process.wait(timeout=ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        gevent.killall(self._readers)

    @staticmethod
    def _tell(process: Popen, order: dict[str, object]) -> None:
        try:
            process.stdin.write(json.dumps(order) + "\n")
        except (BrokenPipeError, ValueError):  # ValueError: closed at the end of the run
            return

    def _read(self, process: Popen) -> None:
        for text in process.stdout:
            line = json.loads(text)
            samples = self._samples.get(line["call"])
            if samples is not None:
                samples.put(None if line.get("is_over") else Sample.from_line(line))
        if not self._is_closing:
            logging.error("A process of callers ended by itself; its last words are above.")
            self._on_death()
