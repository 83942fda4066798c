"""Closable streams: an async iterator as a generator that can be closed, whatever kind a provider returned."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

T = TypeVar("T")


async def as_closable(stream: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """The items of `stream`; closing the generator closes the stream, if it has an `aclose`."""
    try:
        async for item in stream:
            yield item
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()
