"""Whisper on CTranslate2, padded with as little silence as it needs: 12 s instead of 30 s makes it four times as fast.

The model was trained on 30 s windows; an utterance padded to 12 s decodes as well and in 90 ms on one core (tiny.en). Windows
under 10 s make the decoder loop, which is why there is a minimum and a guard. Prompts are not passed on: in short
windows they raised the word error rate from 0.8 % to 5 % and more. The caller must cut long audio.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agentvoicebox.errors import BadProviderAnswer, NotInstalled, ProviderUnavailable
from agentvoicebox.ports.providers import Int16Array, Transcript
from agentvoicebox.providers.stt import guards
from agentvoicebox.providers.stt.mel import RATE_HZ, Float32Array, log_mel
from agentvoicebox.providers.stt.vocabulary import Vocabulary

if TYPE_CHECKING:
    from ctranslate2.models import Whisper

LONGEST_S = 30.0  # the model's window
TAIL_S = 3.0  # silence after the speech, so that the decoder sees its end: with 1 s it repeated the last sentence
TOKENS_PER_S = 9  # fast speech is 5 tokens/s; spelled letters and digits up to 8
TOKENS_SPARE = 12


@dataclass(frozen=True)
class WhisperProfile:
    """How a Whisper model is best run.

    Attributes:
        model: its name in the catalogue.
        floor_s: shortest window at which it does not loop (measured on 100 short phrases).
    """

    model: str
    floor_s: float


FAST = WhisperProfile("whisper-tiny-en", floor_s=12.0)
ACCURATE = WhisperProfile("whisper-base", floor_s=10.0)


class WhisperShort:
    """An Stt. Calls from several threads run side by side, one core each, up to `threads`."""

    def __init__(
        self,
        folder: Path,
        *,
        floor_s: float = FAST.floor_s,
        threads: int = 2,
        device: str = "cpu",
        compute_type: str = "int8",
        default_language: str = "en",
    ) -> None:
        """Load a CTranslate2 Whisper model (about 0.3 s).

        Args:
            folder: holds model.bin, config.json, vocabulary.txt.
            floor_s: see WhisperProfile.
            threads: how many utterances are decoded at once; each takes one core.
            device: `cpu` or `cuda`.
            compute_type: `int8` on CPU, `float16` on GPU.
            default_language: for multilingual models, when a call names none.

        Raises:
            NotInstalled: `ctranslate2` or the model is missing.
        """
        try:
            import ctranslate2
        except ImportError as error:
            raise NotInstalled("Whisper is not installed: type `pip install 'agentvoicebox[speech]'`") from error
        self._ct2 = ctranslate2
        self._floor_s = floor_s
        self._default_language = default_language
        try:
            self._model: Whisper = ctranslate2.models.Whisper(
                str(folder), device=device, compute_type=compute_type, intra_threads=1, inter_threads=threads
            )
            self._vocabulary = Vocabulary(folder / "vocabulary.txt")
        except (RuntimeError, ValueError, OSError) as error:
            raise ProviderUnavailable(f"the Whisper model in {folder} can't be loaded: {error}") from error

    def transcribe(self, pcm: Int16Array, *, language: str | None = None, prompt: str | None = None) -> Transcript:
        """See ports.providers.Stt. `prompt` is ignored, see the file's header."""
        if guards.is_silent(pcm):
            return Transcript("")
        samples = pcm[: int(LONGEST_S * RATE_HZ)].astype(np.float32) / 32768.0
        duration_s = samples.size / RATE_HZ
        window_s = min(LONGEST_S, max(self._floor_s, float(np.ceil(duration_s + TAIL_S))))
        tokens, no_speech = self._decode(samples, window_s, language)
        if no_speech > guards.NO_SPEECH_LIMIT:
            return Transcript("")
        # A sentence that stands there twice is no reason for it: the second decode takes three times as long.
        if guards.loop_start(tokens) is not None and window_s < LONGEST_S:
            tokens, no_speech = self._decode(samples, LONGEST_S, language)  # the trained window is more reliable
        loop = guards.loop_start(tokens)
        if loop is not None:
            tokens = tokens[:loop]
        return Transcript(guards.without_echo(" ".join(self._vocabulary.text(tokens).split()), duration_s))

    def _decode(self, samples: Float32Array, window_s: float, language: str | None) -> tuple[list[int], float]:
        """Tokens, and the model's no-speech probability."""
        duration_s = samples.size / RATE_HZ
        picture = self._ct2.StorageView.from_array(np.ascontiguousarray(log_mel(samples, window_s)[None]))
        try:
            answers: list[Any] = self._model.generate(
                picture,
                [self._opening(language)],
                beam_size=1,
                max_length=min(440, int(TOKENS_PER_S * duration_s) + TOKENS_SPARE),
                suppress_blank=True,
                suppress_tokens=[-1],
                return_no_speech_prob=True,
            )
        except (RuntimeError, ValueError) as error:
            raise BadProviderAnswer(f"Whisper failed ({type(error).__name__})") from error
        answer = answers[0]
        return [int(number) for number in answer.sequences_ids[0]], float(answer.no_speech_prob)

    def _opening(self, language: str | None) -> list[int]:
        """The tokens that select the task: transcribe, no time stamps."""
        names = ["<|startoftranscript|>"]
        if self._model.is_multilingual:
            spoken = f"<|{(language or self._default_language).split('-')[0].lower()}|>"
            known = self._vocabulary.number(spoken) is not None
            names += [spoken if known else f"<|{self._default_language}|>", "<|transcribe|>"]
        names.append("<|notimestamps|>")
        numbers = [self._vocabulary.number(name) for name in names]
        if None in numbers:
            raise BadProviderAnswer(f"the vocabulary lacks one of {names}")
        return [number for number in numbers if number is not None]
