"""The engine, run over a log of inputs: its effects step by step, and a digest of each step's.

The law this stands on: same log, same effects, byte for byte. A digest of all effects shows it for logs with words. For logs
whose words were masked, effects are masked, too, before they are digested: masking text letter by letter never changes
which way the engine goes, so a masked log gives the masked effects of the true one.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from agentvoicebox.engine.effects import Effect
from agentvoicebox.engine.inputs import Input, Opened
from agentvoicebox.engine.session import Engine
from agentvoicebox.interactions.interaction import LogEntry
from agentvoicebox.privacy.masks import masked_words

DIGEST_BYTES = 8  # a step; an accident has a chance of 2**-64
DIGEST_HEX = 2 * DIGEST_BYTES


class NotALog(ValueError):
    """The log does not begin with the opening of a session, so no engine can be run over it."""


class ReplayedStep(msgspec.Struct, frozen=True):
    """One step of the rerun; `engine` is as it stands after it."""

    now_s: float
    given: Input
    effects: list[Effect]
    engine: Engine


def rerun(log: Sequence[LogEntry]) -> Iterator[ReplayedStep]:
    """A fresh engine over a log.

    Raises:
        NotALog: the first entry is no `Opened`.
    """
    now_s, opened = log[0] if log else (0.0, None)
    if not isinstance(opened, Opened):
        raise NotALog("a log begins with the opening of its session")
    engine, effects = Engine.open(opened, now_s)
    yield ReplayedStep(now_s, opened, effects, engine)
    for now_s, given in log[1:]:
        yield ReplayedStep(now_s, given, engine.receive(given, now_s), engine)


def digest(effects: Sequence[Effect]) -> bytes:
    """Of the effects as they are, byte for byte."""
    return hashlib.blake2b(msgspec.msgpack.encode(effects), digest_size=DIGEST_BYTES).digest()


def masked_digest(effects: Sequence[Effect]) -> bytes:
    """Of the effects with every text masked: it tells nothing of the words, not even to somebody who guesses them."""
    shape: Any = masked_words(msgspec.to_builtins(list(effects)), keeps_abbreviations=False)
    return hashlib.blake2b(msgspec.msgpack.encode(shape), digest_size=DIGEST_BYTES).digest()
