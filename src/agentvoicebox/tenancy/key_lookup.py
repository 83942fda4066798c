"""Looks keys up in PostgreSQL, many prefixes in one query, one query at a time.

So a flood of guesses costs a few queries a second, and a good key waits for two of them at most (for more only while over
`BATCH` prefixes wait). A caller waits at most `POSTGRES_WAIT_S`; a prefix for which no caller waits any more is not looked up.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from agentvoicebox.errors import InfrastructureError, StorageLost
from agentvoicebox.tenancy.api_keys import StoredKey
from agentvoicebox.tenancy.last_answers import POSTGRES_WAIT_S

BATCH = 500  # prefixes: some 10 ms of PostgreSQL


class _WantedKey(msgspec.Struct, eq=False):
    """A prefix that is looked up. The answer is a value also when it is an error, because all its callers may have left."""

    answer: "asyncio.Future[StoredKey | InfrastructureError | None]"
    callers: int = 0


class KeyLookup:
    """One per process. `close` it at the end.

    Args:
        find_all: see `ApiKeys.find_all`.
        wait_s: how long a caller waits.
    """

    def __init__(
        self,
        find_all: Callable[[Sequence[str]], Awaitable[Mapping[str, StoredKey]]],
        *,
        wait_s: float = POSTGRES_WAIT_S,
    ) -> None:
        self._find_all = find_all
        self._wait_s = wait_s
        self._wanted: dict[str, _WantedKey] = {}
        self._asking: asyncio.Task[None] | None = None

    async def find(self, prefix: str) -> StoredKey | None:
        """The key with this prefix, of any tenant.

        Raises:
            StorageLost: PostgreSQL did not answer in time. StorageRefused.
        """
        wanted = self._wanted.get(prefix)
        if wanted is None:
            wanted = self._wanted[prefix] = _WantedKey(asyncio.get_running_loop().create_future())
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(), name="key look-up")
        wanted.callers += 1
        try:
            async with asyncio.timeout(self._wait_s):
                answer = await asyncio.shield(wanted.answer)
        except TimeoutError as error:
            raise StorageLost("PostgreSQL does not answer at the moment; please try again.") from error
        finally:
            wanted.callers -= 1
            if not wanted.callers and self._wanted.get(prefix) is wanted:
                del self._wanted[prefix]
        if isinstance(answer, InfrastructureError):
            raise answer
        return answer

    async def close(self) -> None:
        """Cancel the query that no caller waits for any more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self) -> None:
        """Look up what waits, batch by batch, until nothing does."""
        while self._wanted:
            batch = dict(itertools.islice(self._wanted.items(), BATCH))
            for prefix in batch:
                del self._wanted[prefix]
            lost = None
            found: Mapping[str, StoredKey] = {}
            try:
                found = await self._find_all(list(batch))
            except InfrastructureError as error:
                lost = error
            for prefix, wanted in batch.items():
                if not wanted.answer.done():
                    wanted.answer.set_result(lost or found.get(prefix))
