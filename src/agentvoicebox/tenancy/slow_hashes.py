"""Checks secrets against the slow hashes (Argon2id) of earlier versions, without delaying other keys.

In threads, one at a time for each key and two in all, so guesses at one key delay only that key. A key's hash is slow until the
key is first used; then it gets a fast one.
"""

import asyncio

import msgspec

from agentvoicebox.errors import Overloaded
from agentvoicebox.tenancy.key_format import is_slow_secret

AT_A_TIME = 2  # each takes 19 MiB and a core
MOST_WAITING = 32  # for one key: some 0.8 s


class _KeyQueue(msgspec.Struct, eq=False):
    lock: asyncio.Lock
    waiting: int = 0


class SlowHashes:
    """One per process."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(AT_A_TIME)
        self._queues: dict[str, _KeyQueue] = {}

    async def is_secret(self, prefix: str, secret: str, secret_hash: str) -> bool:
        """Whether it is the secret of the key with this prefix. Raises Overloaded: too many guesses at this key are waiting."""
        queue = self._queues.setdefault(prefix, _KeyQueue(asyncio.Lock()))
        if queue.waiting >= MOST_WAITING:
            raise Overloaded("Too many requests show this key at once; please call again in a moment.")
        queue.waiting += 1
        try:
            async with queue.lock, self._slots:
                return await asyncio.to_thread(is_slow_secret, secret, secret_hash)
        finally:
            queue.waiting -= 1
            if not queue.waiting:
                self._queues.pop(prefix, None)
