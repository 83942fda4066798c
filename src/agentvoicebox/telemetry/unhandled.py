"""Unhandled errors of the process, of its threads and tasks, and Python's warnings become log lines too.

Python would print their texts, which may hold what a caller said, and no collector could read them as JSON.
"""

import asyncio
import logging
import sys
import threading
from types import TracebackType
from typing import Any

from agentvoicebox.telemetry.logs import get_logger

_log = get_logger(__name__)


def log_unhandled() -> None:
    """Log what this process does not handle. Call it once, in a process of its own, after `logs.configure`."""
    sys.excepthook = _log_error
    threading.excepthook = _log_error_of_thread
    sys.unraisablehook = _log_unraisable
    logging.captureWarnings(True)


def log_unhandled_of_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Log errors of tasks and callbacks that are never awaited."""
    loop.set_exception_handler(_log_error_of_loop)


def _log_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not isinstance(error, KeyboardInterrupt | SystemExit):
        _log.critical("unexpected error", exc_info=error)


def _log_error_of_thread(given: threading.ExceptHookArgs) -> None:
    if given.exc_value is not None and not isinstance(given.exc_value, SystemExit):
        thread = None if given.thread is None else given.thread.name
        _log.error("unexpected error in a thread", thread=thread, exc_info=given.exc_value)


def _log_unraisable(given: "sys.UnraisableHookArgs") -> None:
    _log.error("unexpected error in a finaliser", exc_info=given.exc_value)


def _log_error_of_loop(loop: asyncio.AbstractEventLoop, given: dict[str, Any]) -> None:
    error = given.get("exception")
    task = given.get("task") or given.get("future")
    name = task.get_name() if isinstance(task, asyncio.Task) else None
    # The loop's own sentence is static; what it adds, such as `repr(task)`, has the text of the error.
    _log.error("unexpected error in a task", reason=given.get("message"), task=name, exc_info=error)
