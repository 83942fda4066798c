"""A process with many callers: orders come on standard input, samples go to standard output, a JSON document a line.

The first line is the plan. Then `{"call": 7, "kind": "spoken", "key": "sk-…"}` makes a call and `{"cancel": 7}` hangs
it up. Each call ends with `{"call": 7, "is_over": true}`. At the end of its input the process hangs up all calls and
ends, also when Locust was killed.
"""

import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path
from typing import Any, Literal, cast

import uvloop
from benchmarks.load.calls import make_call
from benchmarks.load.plan import Plan
from benchmarks.load.sample import CALL, Sample
from benchmarks.load.speech import Speech

from agentvoicebox.clock import SystemClock
from agentvoicebox.realtime_client.dialing import CallOptions


class CallerProcess:
    """The calls of this process."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._speech = Speech(Path(plan.speech))
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._clock = SystemClock()

    def obey(self, order: dict[str, Any]) -> None:
        """Begin a call, or hang one up."""
        if "cancel" in order:
            if task := self._calls.get(order["cancel"]):
                task.cancel()
            return
        task = asyncio.create_task(self._call(order["call"], order["kind"], order["key"]))
        self._calls[order["call"]] = task
        task.add_done_callback(lambda _: self._calls.pop(order["call"]))

    async def close(self) -> None:
        """Hang up all calls."""
        calls = list(self._calls.values())
        for task in calls:
            task.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    async def _call(self, number: int, kind: str, key: str) -> None:
        urls = self._plan.urls
        first = number % len(urls)
        options = CallOptions(
            base_url=urls[first],
            other_urls=(*urls[first + 1 :], *urls[:first]),
            api_key=key,
            model=self._plan.model,
            audio=cast(Literal["pcm", "pcmu", "pcma"], self._plan.audio),
            reply_timeout_s=self._plan.reply_timeout_s,
            ca_file=self._plan.ca_file,
        )
        began_s = self._clock.monotonic_s()
        try:
            await make_call(kind, number, options, self._speech, lambda sample: say(sample.as_line(number)))
        except Exception as error:  # a fault of one call, even ours, must not end the others
            took_ms = (self._clock.monotonic_s() - began_s) * 1000
            say(Sample(CALL, kind, took_ms, self._clock.wall_s(), type(error).__name__).as_line(number))
        finally:
            say(json.dumps({"call": number, "is_over": True}))


def say(line: str) -> None:
    """One line of output; quietly nothing when nobody listens any more."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


async def main() -> None:
    """Until the end of the input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the run, and with it the input
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    process = CallerProcess(Plan.from_line((await orders.readline()).decode()))
    say(json.dumps({"is_ready": True}))
    while line := await orders.readline():
        process.obey(json.loads(line))
    await process.close()


if __name__ == "__main__":
    uvloop.run(main())
