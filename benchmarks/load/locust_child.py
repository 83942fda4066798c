"""Locust as a child process: started with a plan, watched, and ended in order."""

import asyncio
import contextlib
import os
import signal
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import Callable
from pathlib import Path

from benchmarks.load.figures import Figures, Run, figures
from benchmarks.load.plan import VARIABLE, Plan
from benchmarks.load.sample import REFUSED, TURN, VOICE_TO_VOICE

from agentvoicebox.processes.child_command import child_command

ROOT = Path(__file__).parents[2]
LOCUST = ROOT / ".venv-load" / "bin" / "locust"
LOCUST_FILE = Path(__file__).with_name("locustfile.py")
STOP_TIMEOUT_S = 30.0
PROGRESS_S = 5.0
TAIL_LINES = 15

Progress = Callable[[str], None]


class LocustFailed(Exception):
    """Locust did not run to its end. The message ends with its last lines."""


async def run_locust(plan: Plan, folder: Path, progress: Progress) -> bool:
    """Run Locust to its end; whether it got there. An interruption (Ctrl-C) ends it early, and it still writes its report.

    Args:
        plan: the run.
        folder: gets locust.html and locust.log.
        progress: called with a line every few seconds.

    Raises:
        LocustFailed: it failed.
    """
    with tempfile.TemporaryDirectory(prefix="avb-load-") as private:
        plan_file = Path(private) / "plan.json"
        plan.write(plan_file)
        rate = plan.calls / plan.ramp_s if plan.ramp_s > 0 else plan.calls
        command = [
            str(LOCUST), "--locustfile", str(LOCUST_FILE), "--headless", "--only-summary", "--loglevel", "WARNING",
            "--users", str(plan.calls), "--spawn-rate", f"{rate:g}", "--run-time", f"{plan.ramp_s + plan.seconds:.0f}s",
            "--reset-stats", "--host", plan.urls[0], "--html", str(folder / "locust.html"),
        ]  # fmt: skip
        environment = {**os.environ, VARIABLE: str(plan_file), "PYTHONPATH": str(ROOT)}
        log = folder / "locust.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *child_command(command, die_with=signal.SIGTERM),
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,  # this process handles Ctrl-C
            )
        showing = asyncio.create_task(_show(plan, progress))
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            progress("interrupted: ending the calls")
            return False
        finally:
            showing.cancel()
            await _end(process)
        if code != 0:
            tail = log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
            raise LocustFailed("\n  ".join([f"Locust ended with code {code}; its last lines:", *tail]))
        return True


async def _end(process: Process) -> None:
    """End Locust as its own Ctrl-C does; then whatever is left of its group."""
    if process.returncode is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


async def _show(plan: Plan, progress: Progress) -> None:
    """A line of progress every few seconds, from what was written so far."""
    began_s, run, read = time.monotonic(), Run(), 0
    while True:
        await asyncio.sleep(PROGRESS_S)
        whole = await asyncio.to_thread(_lines_from, Path(plan.samples), read)
        read += len(whole)
        run.read(whole.decode().splitlines())
        live = run.live()[-1][1] if run.live() else 0
        seconds = f"{time.monotonic() - began_s:.0f} of {plan.ramp_s + plan.seconds:.0f} s"
        progress(f"{seconds:>13}  {live:4} calls  {so_far(figures(run))}")


def _lines_from(path: Path, offset: int) -> bytes:
    """Whole lines of a file from an offset on; none when there is no file yet."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            new = file.read()
    except FileNotFoundError:
        return b""
    return new[: new.rfind(b"\n") + 1]


def so_far(made: Figures) -> str:
    """The figures of a run that goes on, in a few words."""
    waits, turns = made.spreads[VOICE_TO_VOICE], made.spreads[TURN]
    heard = f"voice to voice {waits.p50:,.0f}, {waits.p95:,.0f} ms (p50, p95)" if waits.count else "no answer yet"
    refused = made.spreads[REFUSED].count
    return f"{turns.count:5} turns  {heard}  {made.error_rate:.1%} failed  {refused} refused"
