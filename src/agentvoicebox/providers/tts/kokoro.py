"""Kokoro-82M on ONNX: the best voice here, and the slowest (about 0.4 s of one core for a second of audio).

Decides where to cut a text so that the first audio comes early: at clause ends first, then at sentence ends. Phonemes,
vocabulary and inference are `kokoro-onnx`'s; it phonemizes with eSpeak (GPL-3.0-or-later), so this module is imported in the
speech worker's process alone. The model uses no random numbers: same text, voice and speed, same samples.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from agentvoicebox.errors import BadProviderAnswer, NotInstalled, ProviderUnavailable
from agentvoicebox.ports.providers import Int16Array
from agentvoicebox.ports.voice import Voice
from agentvoicebox.providers.onnx_options import one_thread
from agentvoicebox.providers.tts.stopping import Stop, StoppableSpeech
from agentvoicebox.providers.tts.text import speakable
from agentvoicebox.providers.tts.voices import clamped_speed

SLOWEST, FASTEST = 0.5, 2.0  # what the model was trained for
CHUNK_SAMPLES = 12_000  # 0.5 s: what was rendered in one run is given out in pieces of this size
SENTENCE_PAUSE_S = 0.2  # the model's own pauses at the ends of a run are trimmed
CLAUSE_PAUSE_S = 0.08
RATE_HZ = 24_000
LONGEST_PIECE = 280  # characters; the model takes 510 phonemes, and a character is at most about 1.5 of them
STYLE_SHAPE = (510, 1, 256)  # one style vector for each number of phonemes
PREFERRED = ("af_heart", "af_bella", "am_michael", "jf_alpha")  # the first that is there is the default voice
LANGUAGES = {"a": "en-US", "b": "en-GB", "j": "ja-JP", "e": "es-ES", "f": "fr-FR", "h": "hi-IN", "i": "it-IT"}

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_CLAUSE_END = re.compile(r"(?<=[,;:])\s+")


def read_voices(folder: Path) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    """Style tables by voice name, from `*.bin` (raw float32) and `*.npz` files of a folder; empty when there are none."""
    voices: dict[str, np.ndarray[Any, np.dtype[np.float32]]] = {}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            voices.update({name: file[name].astype(np.float32) for name in file.files})
    for path in sorted(folder.glob("*.bin")):
        table = np.fromfile(path, np.float32)
        if table.size == np.prod(STYLE_SHAPE):
            voices[path.stem] = table.reshape(STYLE_SHAPE)
    return voices


class Kokoro:
    """A Tts with the voices that are installed. Calls from several threads run side by side, one core each."""

    def __init__(self, model: Path, voices_folder: Path) -> None:
        """Load the model (about 1 s) and every voice in the folder.

        Raises:
            NotInstalled: a package, the model or every voice is missing.
        """
        try:
            import onnxruntime
            from kokoro_onnx.tokenizer import Tokenizer
        except ImportError as error:
            raise NotInstalled("Kokoro is not installed: type `pip install 'agentvoicebox[kokoro]'`") from error
        self._styles = read_voices(voices_folder)
        if not self._styles:
            raise NotInstalled(
                f"Kokoro has no voice in {voices_folder}: type `agentvoicebox models pull kokoro-voices`"
            )
        self._runtime = onnxruntime
        options = one_thread(onnxruntime)
        try:
            self._session = onnxruntime.InferenceSession(str(model), options)
            self._tokenizer = Tokenizer()
        except Exception as error:  # onnxruntime has a separate exception type for each kind of invalid file
            raise ProviderUnavailable(f"Kokoro can't be loaded: {error}") from error
        self._default = next((name for name in PREFERRED if name in self._styles), min(self._styles))

    def voices(self) -> list[Voice]:
        """See ports.providers.Tts. The default voice comes first."""
        names = [self._default, *sorted(name for name in self._styles if name != self._default)]
        return [Voice(name, "kokoro", LANGUAGES.get(name[0], "en-US"), "Kokoro-82M") for name in names]

    def synthesize(self, text: str, *, voice: str, speed: float = 1.0) -> StoppableSpeech:
        """See ports.providers.Tts; speeds below 0.5 become 0.5. `close()` of the result interrupts the model."""
        style = self._styles.get(voice, self._styles[self._default])
        wanted = min(FASTEST, max(SLOWEST, clamped_speed(speed)))
        return StoppableSpeech(lambda stop: self._chunks(text, style, wanted, stop))

    def _chunks(self, text: str, style: Any, speed: float, stop: Stop) -> Iterator[Int16Array]:
        for piece, pause_s in pieces(speakable(text)):
            wave = self._render(piece, style, speed, stop)
            if wave.size == 0:
                continue
            silence = np.zeros(int(pause_s * RATE_HZ), np.float32)
            pcm = (np.clip(np.concatenate((wave, silence)), -1.0, 1.0) * 32767.0).astype(np.int16)
            for start in range(0, pcm.size, CHUNK_SAMPLES):
                yield pcm[start : start + CHUNK_SAMPLES]

    def _render(self, text: str, style: Any, speed: float, stop: Stop) -> np.ndarray[Any, np.dtype[np.float32]]:
        """One run of the model, silence at both ends trimmed; empty when the text has no phonemes."""
        options = self._runtime.RunOptions()
        with stop.interrupting(lambda: setattr(options, "terminate", True)):
            try:
                tokens = self._tokenizer.tokenize(self._tokenizer.phonemize(text, "en-us"))
                if not tokens:
                    return np.zeros(0, np.float32)
                inputs = {
                    "tokens": np.array([[0, *tokens, 0]], np.int64),
                    "style": style[min(len(tokens), len(style)) - 1],
                    "speed": np.array([speed], np.float32),
                }
                wave = np.asarray(self._session.run(None, inputs, options)[0], np.float32).ravel()
            except Exception as error:  # phonemizer's and onnxruntime's errors share no base
                raise BadProviderAnswer(f"Kokoro failed ({type(error).__name__})") from error
        return trimmed(wave)


def trimmed(wave: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A wave without the silence at its ends; 20 ms of it are kept. Empty when there is nothing but silence."""
    sounding = np.flatnonzero(np.abs(wave) > 0.005)
    if sounding.size == 0:
        return wave[:0]
    margin = RATE_HZ // 50
    return wave[max(0, int(sounding[0]) - margin) : int(sounding[-1]) + margin]


def pieces(text: str) -> list[tuple[str, float]]:
    """(text, pause after it in seconds) in order: the first sentence by clauses, the others whole, none too long."""
    sentences = [sentence for sentence in _SENTENCE_END.split(text) if sentence]
    out: list[tuple[str, float]] = []
    for number, sentence in enumerate(sentences):
        clauses = _CLAUSE_END.split(sentence) if number == 0 or len(sentence) > LONGEST_PIECE else [sentence]
        for place, clause in enumerate(clauses):
            words = clause.split()
            while words:  # one round, unless a clause alone is too long
                take, length = 0, 0
                while take < len(words) and (take == 0 or length + 1 + len(words[take]) <= LONGEST_PIECE):
                    length += 1 + len(words[take])
                    take += 1
                is_sentence_end = place == len(clauses) - 1 and take == len(words)
                out.append(
                    (" ".join(words[:take])[:LONGEST_PIECE], SENTENCE_PAUSE_S if is_sentence_end else CLAUSE_PAUSE_S)
                )
                words = words[take:]
    return out
