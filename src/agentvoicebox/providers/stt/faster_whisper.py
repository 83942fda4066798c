"""Whisper by the `faster-whisper` package: any model size, any language, GPU.

The general path: full 30 s windows, beam search and temperature fallback as its authors set them. On a CPU the short-window
recogniser is four times as fast for short phrases; on a GPU the window hardly matters.
"""

from pathlib import Path

import numpy as np

from agentvoicebox.errors import BadProviderAnswer, NotInstalled, ProviderUnavailable
from agentvoicebox.ports.providers import Int16Array, Transcript
from agentvoicebox.providers.stt import guards

COMPUTE_TYPES = {"cpu": "int8", "cuda": "float16"}  # the fastest that loses no accuracy, by device
UNSURE_LOG_PROBABILITY = -1.0  # Whisper's own: with a high no-speech probability, a text below this is dropped


class FasterWhisper:
    """An Stt. Calls from several threads run side by side, up to `threads`."""

    def __init__(
        self,
        folder: Path,
        *,
        device: str = "cpu",
        compute_type: str = "",
        threads: int = 2,
        beam_size: int = 1,
        default_language: str = "en",
    ) -> None:
        """Load a CTranslate2 Whisper model.

        Args:
            folder: holds the model and its tokenizer.json.
            device: `cpu` or `cuda`.
            compute_type: empty for int8 on CPU, float16 on GPU.
            threads: how many utterances are decoded at once.
            beam_size: 1 is greedy; 5 is the package's default, slower and a little more accurate.
            default_language: when a call names none.

        Raises:
            NotInstalled: the package, the model or the device is missing.
        """
        try:
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise NotInstalled(
                "this profile is not installed: type `pip install 'agentvoicebox[faster-whisper]'`"
            ) from error
        try:
            self._model = WhisperModel(
                str(folder),
                device=device,
                compute_type=compute_type or COMPUTE_TYPES.get(device, "default"),
                cpu_threads=1,
                num_workers=threads,
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise ProviderUnavailable(f"the Whisper model in {folder} can't be loaded on {device}: {error}") from error
        self._beam_size = beam_size
        self._default_language = default_language

    def transcribe(self, pcm: Int16Array, *, language: str | None = None, prompt: str | None = None) -> Transcript:
        """See ports.providers.Stt."""
        if guards.is_silent(pcm):
            return Transcript("")
        samples = pcm.astype(np.float32) / 32768.0
        try:
            segments, _ = self._model.transcribe(
                samples,
                language=(language or self._default_language).split("-")[0].lower(),
                initial_prompt=prompt,
                beam_size=self._beam_size,
                without_timestamps=True,
                condition_on_previous_text=False,
                no_speech_threshold=guards.NO_SPEECH_LIMIT,
                log_prob_threshold=UNSURE_LOG_PROBABILITY,
            )
            heard = [segment for segment in segments if segment.no_speech_prob <= guards.NO_SPEECH_LIMIT]
        except (RuntimeError, ValueError) as error:
            raise BadProviderAnswer(f"Whisper failed ({type(error).__name__})") from error
        if not heard:
            return Transcript("")
        text = " ".join(" ".join(segment.text for segment in heard).split())
        return Transcript(text)
