"""The caller's voice: text to lines of speech, by a speaker that differs from the agent.

The caller is the agent's own Piper voice three semitones higher, which recognisers understand as well as
the original; eSpeak NG where Piper is missing. Both are GPL, so they run in a child process that ends when the
lines are rendered; this also keeps synthesis off the caller's clock. Same words, same samples.

Run as a program this module is that child: JSON on standard input, MessagePack on standard output.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from agentvoicebox.audio.pcm import Int16Array, bytes_of, samples_of
from agentvoicebox.audio.rates import OUTPUT_RATE_HZ
from agentvoicebox.audio.resample import resample
from agentvoicebox.client.line import SpokenLine
from agentvoicebox.errors import ProviderUnavailable
from agentvoicebox.ports.providers import Tts

PITCH = 1.2  # +3 semitones: a different, still natural voice
PACE = 0.98  # people dictate numbers a little slower than they chat
RENDER_TIMEOUT_S = 180.0  # the very first run prepares the voice


class _Order(msgspec.Struct):
    """The request to the child."""

    texts: list[str]
    models_dir: str
    cache_dir: str


def speak_lines(texts: Sequence[str], *, models_dir: str = "", cache_dir: Path) -> list[SpokenLine]:
    """Render each text as a line. Blocks (about 0.1 s a line, after 2 s to load the voice).

    Args:
        texts: the words.
        models_dir: folder searched before installed packages; "" for none.
        cache_dir: folder of prepared voices.

    Raises:
        ProviderUnavailable: no voice is installed; the message says what to type.
    """
    order = _Order(list(texts), models_dir, str(cache_dir))
    try:
        child = subprocess.run(
            [sys.executable, "-m", __name__],
            input=msgspec.json.encode(order),
            capture_output=True,
            timeout=RENDER_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ProviderUnavailable(f"the caller's voice was not ready within {RENDER_TIMEOUT_S:.0f} s") from error
    if child.returncode != 0:
        detail = child.stderr.decode(errors="replace").strip().splitlines()
        raise ProviderUnavailable(f"the caller has no voice: {detail[-1] if detail else 'the speech process failed'}")
    spoken = msgspec.msgpack.decode(child.stdout, type=list[bytes])
    return [SpokenLine(text, samples_of(pcm)) for text, pcm in zip(texts, spoken, strict=True)]


def _voice(order: _Order) -> tuple[Tts, float]:
    """The engine, and its pitch factor."""
    from agentvoicebox.providers.catalogue import ModelCatalogue
    from agentvoicebox.providers.tts.espeak import Espeak
    from agentvoicebox.providers.tts.piper import Piper

    models_dir = Path(order.models_dir) if order.models_dir else None
    catalogue = ModelCatalogue(models_dir=models_dir, cache_dir=Path(order.cache_dir))
    try:
        return Piper(catalogue.locate("piper-joe"), catalogue.cache_dir), PITCH
    except ProviderUnavailable as piper_missing:
        try:
            return Espeak(), 1.0
        except ProviderUnavailable as espeak_missing:
            raise ProviderUnavailable(f"{piper_missing.message}; {espeak_missing.message}") from espeak_missing


def _render(tts: Tts, pitch: float, text: str) -> Int16Array:
    chunks = list(tts.synthesize(text, voice="", speed=PACE / pitch))
    pcm = np.concatenate(chunks) if chunks else np.zeros(0, dtype=np.int16)
    return resample(pcm, round(OUTPUT_RATE_HZ * pitch), OUTPUT_RATE_HZ)  # played faster: higher, at the requested speed


def _main() -> None:
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=_Order)
    try:
        tts, pitch = _voice(order)
        spoken = [bytes_of(_render(tts, pitch, text)) for text in order.texts]
    except ProviderUnavailable as error:
        sys.exit(error.message)
    sys.stdout.buffer.write(msgspec.msgpack.encode(spoken))


if __name__ == "__main__":
    _main()
