"""Log lines: one JSON object each, with the same seven fields in every process, from any library.

Defines the fields and their order, and routes the lines of foreign libraries (which use the standard library's logging) through
the same pipeline. `redact` removes what a line may not contain. Messages are static; ids are fields, bound with `bound`. A
process may run several services; `as_service` says which one a line is of, and each has its level.
"""

import logging
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from traceback import extract_tb
from typing import Any, Literal, TextIO

import structlog

from agentvoicebox.privacy.redact import Redactor

REQUIRED_FIELDS = ("timestamp", "level", "service", "tenant_id", "session_id", "correlation_id", "message")

# Below warning level these log whole frames, queries or headers.
CHATTY_LIBRARIES = (
    "websockets",
    "uvicorn",
    "httpx",
    "httpx2",
    "httpcore",
    "httpcore2",
    "openai",
    "asyncio",
    "asyncpg",
    "redis",
    "alembic",
    "numba",
)

# A valid request id from a sender. Text without a letter may be a telephone number.
SANE_ID = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")

Event = MutableMapping[str, Any]

_service: ContextVar[str | None] = ContextVar("service", default=None)


class _LevelsFilter(logging.Filter):
    """Drops lines below the level of the service that they are of."""

    def __init__(self, level: str, levels: Mapping[str, str]) -> None:
        super().__init__()
        self._level: int = logging.getLevelName(level.upper())
        self._levels: dict[str, int] = {each: logging.getLevelName(name.upper()) for each, name in levels.items()}

    @property
    def lowest(self) -> int:
        """Of all services."""
        return min([self._level, *self._levels.values()])

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= self._levels.get(_service.get() or "", self._level)


def configure(
    *,
    service: str,
    level: str = "info",
    levels: Mapping[str, str] | None = None,
    format: Literal["json", "console"] = "json",
    out: TextIO | None = None,
) -> None:
    """Set up this process's logs. Call it once, first; a later call replaces the former.

    Args:
        service: the component of this process (`gateway`, `stt`, …); `as_service` names another for some of its lines.
        level: lowest severity that is written: debug, info, warning or error.
        levels: the same for services that `as_service` names.
        format: `json`, or `console` for terminals, which also keeps people's words.
        out: the output stream; standard error by default, because commands use standard output.
    """

    def with_fields(logger: object, method: str, event: Event) -> Event:
        event.setdefault("service", _service.get() or service)
        for field in ("tenant_id", "session_id", "correlation_id"):
            event.setdefault(field, None)
        return event

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_messages,
        with_fields,
    ]
    final: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if format == "json":
        final += [
            structlog.processors.EventRenamer("message"),
            _in_order,
            Redactor(keeps_words=False),
            structlog.processors.JSONRenderer(),
        ]
    else:
        final += [Redactor(keeps_words=True), structlog.dev.ConsoleRenderer(colors=(out or sys.stderr).isatty())]

    by_service = _LevelsFilter(level, levels or {})
    lines = logging.StreamHandler(out or sys.stderr)
    lines.addFilter(by_service)
    lines.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=final))
    root = logging.getLogger()
    root.handlers = [lines]
    root.setLevel(by_service.lowest)
    for name in CHATTY_LIBRARIES:
        library = logging.getLogger(name)
        library.handlers = []
        library.propagate = True
        library.setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # modules create their loggers before a process configures its logs
    )


def sane_id(given: str) -> str:
    """A sender's own request id, if it may be logged; else an empty string."""
    return given if SANE_ID.fullmatch(given) else ""


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger: `log.info("job claimed", job_id=…)`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


@contextmanager
def as_service(name: str) -> Iterator[None]:
    """Lines logged inside, also by tasks started inside, are of this service, and follow its level."""
    token = _service.set(name)
    try:
        yield
    finally:
        _service.reset(token)


@contextmanager
def bound(
    *,
    tenant_id: str | None = None,
    session_id: str | None = None,
    correlation_id: str | None = None,
    trace_id: str | None = None,
) -> Iterator[None]:
    """Add ids to every line logged inside, also by tasks started inside; a thread needs a copy of the context."""
    ids = {"tenant_id": tenant_id, "session_id": session_id, "correlation_id": correlation_id, "trace_id": trace_id}
    with structlog.contextvars.bound_contextvars(**{name: value for name, value in ids.items() if value is not None}):
        yield


def bound_correlation_id() -> str:
    """The one that lines logged here have, for what is done elsewhere on their behalf; empty: none."""
    return str(structlog.contextvars.get_contextvars().get("correlation_id") or "")


@contextmanager
def unbound() -> Iterator[None]:
    """Tasks started inside work for everybody: their lines have no ids of the call that happened to start them."""
    ids = structlog.contextvars.get_contextvars()
    structlog.contextvars.clear_contextvars()
    try:
        yield
    finally:
        structlog.contextvars.bind_contextvars(**ids)


def _without_messages(logger: object, method: str, event: Event) -> Event:
    """Log an exception as its type and origin: its message may contain a caller's words."""
    info = event.pop("exc_info", None)
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["exception"] = type(error).__name__
        event["trace"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in extract_tb(error.__traceback__)]
    return event


def _in_order(logger: object, method: str, event: Event) -> Event:
    first = {field: event.pop(field, None) for field in REQUIRED_FIELDS}
    return {**first, **event}
