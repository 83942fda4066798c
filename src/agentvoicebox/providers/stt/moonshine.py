"""Moonshine tiny on ONNX Runtime: its cost grows with the length of the speech, 23 ms for 1.5 s on one core.

Best on long speech; weak on single words and isolated letters. It has no no-speech probability, so silence is
filtered out before it, and words that come too fast to be speech are dropped.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agentvoicebox.errors import BadProviderAnswer, NotInstalled, ProviderUnavailable
from agentvoicebox.ports.providers import Int16Array, Transcript
from agentvoicebox.providers.onnx_options import one_thread
from agentvoicebox.providers.stt import guards

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

RATE_HZ = 16_000
START, END = 1, 2  # token numbers
TOKENS_PER_S = 6.5  # from the model's own documentation: more means that it is looping
TOKENS_SPARE = 6
HEADS, HEAD_SIZE = 8, 36  # of the tiny model
SHORTEST_S = 0.15  # below it, the encoder's convolutions have no output
WORD_START = b"\xe2\x96\x81"  # SentencePiece's mark for a space
# Without a no-speech probability, loudness decides: 20 ms frames this far above the floor count as voice.
VOICED_RATIO = 3.0
VOICED_RMS = 60.0
LEAST_VOICED_S = 0.06


class Moonshine:
    """An Stt for English. Calls from several threads run side by side, one core each."""

    def __init__(self, folder: Path) -> None:
        """Load encoder_model.ort, decoder_model_merged.ort and tokenizer.bin (about 0.4 s).

        Raises:
            NotInstalled: `onnxruntime` or a file is missing.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise NotInstalled("Moonshine is not installed: type `pip install 'agentvoicebox[moonshine]'`") from error
        options = one_thread(onnxruntime)
        try:
            self._encoder: InferenceSession = onnxruntime.InferenceSession(str(folder / "encoder_model.ort"), options)
            self._decoder: InferenceSession = onnxruntime.InferenceSession(
                str(folder / "decoder_model_merged.ort"), options
            )
            self._tokens = _read_tokens((folder / "tokenizer.bin").read_bytes())
        except Exception as error:  # onnxruntime has a separate exception type for each kind of invalid file
            raise ProviderUnavailable(f"the Moonshine model in {folder} can't be loaded: {error}") from error
        self._pasts = [i.name for i in self._decoder.get_inputs() if i.name.startswith("past_key_values")]
        self._outputs = [o.name for o in self._decoder.get_outputs()]

    def transcribe(self, pcm: Int16Array, *, language: str | None = None, prompt: str | None = None) -> Transcript:
        """See ports.providers.Stt. Language and prompt are ignored: the model knows English alone."""
        if pcm.size < SHORTEST_S * RATE_HZ or guards.is_silent(pcm) or not _has_voice(pcm):
            return Transcript("")
        samples = (pcm.astype(np.float32) / 32768.0)[None]
        try:
            tokens = self._decode(samples)
        except Exception as error:  # onnxruntime's errors share no base
            raise BadProviderAnswer(f"Moonshine failed ({type(error).__name__})") from error
        loop = guards.loop_start(tokens)
        raw = b"".join(self._tokens[token] for token in (tokens if loop is None else tokens[:loop]))
        text = raw.replace(WORD_START, b" ").decode("utf-8", errors="replace")
        return Transcript(" ".join(text.split()))

    def _decode(self, samples: np.ndarray[Any, np.dtype[np.float32]]) -> list[int]:
        mask = np.ones(samples.shape, np.int64)  # per sample, for the decoder too: it downsamples the mask itself
        (hidden,) = self._encoder.run(["last_hidden_state"], {"input_values": samples, "attention_mask": mask})
        past: dict[str, Any] = {name: np.zeros((1, HEADS, 0, HEAD_SIZE), np.float32) for name in self._pasts}
        tokens: list[int] = []
        last = START
        for step in range(int(samples.shape[1] / RATE_HZ * TOKENS_PER_S) + TOKENS_SPARE):
            answers = self._decoder.run(
                None,
                {
                    "input_ids": np.array([[last]], np.int64),
                    "encoder_hidden_states": hidden,
                    "encoder_attention_mask": mask,
                    "use_cache_branch": np.array([step > 0]),
                    **past,
                },
            )
            named = dict(zip(self._outputs, answers, strict=True))
            last = int(np.argmax(named["logits"][0, -1]))
            if last == END:
                break
            tokens.append(last)
            for name in self._pasts:
                if step == 0 or ".decoder." in name:  # the encoder's part never changes
                    past[name] = named[name.replace("past_key_values", "present")]
        return tokens


def _read_tokens(data: bytes) -> list[bytes]:
    """Tokens by number: each is a length (one byte, or two from 128 on) and its bytes."""
    tokens, place = [], 0
    while place < len(data):
        length = data[place]
        place += 1
        if length >= 128:
            length = data[place] * 128 + length - 128
            place += 1
        tokens.append(data[place : place + length])
        place += length
    return [b"" if token.startswith(b"<") and token.endswith(b">") else token for token in tokens]


def _has_voice(pcm: Int16Array) -> bool:
    """Whether audio stands out from the noise floor, as speech does and steady noise or hum does not."""
    whole = pcm.size - pcm.size % guards.FRAME_SAMPLES
    frames = pcm[:whole].astype(np.float32).reshape(-1, guards.FRAME_SAMPLES)
    loudness = np.sqrt(np.mean(frames * frames, axis=1))
    floor = max(VOICED_RMS, VOICED_RATIO * float(np.percentile(loudness, 10)))
    return bool(np.count_nonzero(loudness > floor) * guards.FRAME_SAMPLES >= LEAST_VOICED_S * RATE_HZ)
