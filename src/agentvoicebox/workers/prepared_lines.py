"""Lines whose words are known before any call, rendered into the speech engine's cache: their sound is there at once.

They are rendered after the worker is ready, chunk by chunk, whenever no caller needs a thread.
"""

import re
from collections.abc import Iterable

import structlog

from agentvoicebox.engine.segmenter import Segmenter
from agentvoicebox.errors import ProviderError
from agentvoicebox.ports.providers import Tts
from agentvoicebox.wire.session_config import SessionConfig
from agentvoicebox.workers.urgent_threads import Due, UrgentThreads

MOST_SEGMENTS = 64  # some 6 MB of audio, and half a minute of one core
_LAST = float("inf")
_WORD = re.compile(r"\s*\S+")
_USUAL = SessionConfig(id="", model="", expires_at=0)  # its voice and speed are those of a session that asks for none

_log = structlog.get_logger(__name__)


async def prepare(tts: Tts, threads: UrgentThreads, lines: Iterable[str]) -> None:
    """Render the segments of some lines once, in the voice of sessions that name none; `tts` keeps what it rendered.

    A failing engine ends it: what was not prepared is rendered when it is needed.
    """
    try:
        for segment in segments_of(lines)[:MOST_SEGMENTS]:
            chunks = iter(tts.synthesize(segment, voice=_USUAL.voice, speed=_USUAL.speed))
            while await threads.run(lambda chunks=chunks: next(chunks, None), due=Due(_LAST)) is not None:  # type: ignore[misc]
                pass
    except ProviderError as error:
        _log.warning("known lines are not prepared", code=error.code)


def segments_of(lines: Iterable[str]) -> list[str]:
    """The segments that the lines are spoken in, each once. Lines come word by word, as from a language model."""
    found: dict[str, None] = {}
    for line in lines:
        segmenter = Segmenter()
        for word in _WORD.findall(line):
            found |= dict.fromkeys(segmenter.feed(word))
        found |= dict.fromkeys(segmenter.flush())
    return list(found)
