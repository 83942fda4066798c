"""Runs the engine over a log of inputs: the effects of each step, and their digest.

Relies on one invariant: the same log gives the same effects, byte for byte. For a log with words, the digest is of the effects as
they are. For a masked log, the effects are masked before they are digested. Masking letter by letter never changes the engine's
decisions, so a masked log gives the masked effects of the original log.
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

DIGEST_BYTES = 8  # for each step; two different results collide with probability 2**-64
DIGEST_HEX = 2 * DIGEST_BYTES


class NotALog(ValueError):
    """The log does not begin with `Opened`, so the engine can't be run over it."""


class ReplayedStep(msgspec.Struct, frozen=True):
    """One step of the rerun; `engine` is in the state after it."""

    now_s: float
    given: Input
    effects: list[Effect]
    engine: Engine


def rerun(log: Sequence[LogEntry]) -> Iterator[ReplayedStep]:
    """Run a new engine over a log.

    Raises:
        NotALog: the first entry is not `Opened`.
    """
    now_s, opened = log[0] if log else (0.0, None)
    if not isinstance(opened, Opened):
        raise NotALog("a log begins with the opening of its session")
    engine, effects = Engine.open(opened, now_s)
    yield ReplayedStep(now_s, opened, effects, engine)
    for now_s, given in log[1:]:
        yield ReplayedStep(now_s, given, engine.receive(given, now_s), engine)


def digest(effects: Sequence[Effect]) -> bytes:
    """Digest of the effects as they are, byte for byte."""
    return hashlib.blake2b(msgspec.msgpack.encode(effects), digest_size=DIGEST_BYTES).digest()


def masked_digest(effects: Sequence[Effect]) -> bytes:
    """Digest of the effects with every text masked. It reveals nothing about the words and can't confirm a guess of them."""
    shape: Any = masked_words(msgspec.to_builtins(list(effects)), keeps_abbreviations=False)
    return hashlib.blake2b(msgspec.msgpack.encode(shape), digest_size=DIGEST_BYTES).digest()
