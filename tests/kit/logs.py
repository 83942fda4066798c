"""Logging of the tests' own process, which commands under test set up as if it were theirs."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog


@contextmanager
def unchanged_logging() -> Iterator[None]:
    """After the block logs are set up as before it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    is_configured = structlog.is_configured()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    if not is_configured:
        structlog.reset_defaults()
