"""Smart Turn v3.2: has the speaker finished, judged by sound alone (melody, tempo), in about 30 ms on one core.

It is one piece of evidence among others: it misses about one finished sentence in ten, and half of the unfinished ones. The
weights (BSD-2-Clause) are a file whose path is given.
"""

from pathlib import Path

import numpy as np

from agentvoicebox.audio.pcm import to_float
from agentvoicebox.errors import BadProviderAnswer, NotInstalled, ProviderUnavailable
from agentvoicebox.ports.providers import Int16Array
from agentvoicebox.providers.stt.mel import RATE_HZ, Float32Array, log_mel

MODEL_FILE = "smart-turn-v3.2-cpu.onnx"
WINDOW_S = 8  # what the model was trained on
LEAST_VARIANCE = 1e-7  # avoids a division by zero for pure silence, as in training
GET_IT = (
    "type `pip download --no-deps pipecat-ai==1.14.0` and "
    f"`unzip -j pipecat_ai-1.14.0-py3-none-any.whl '*/{MODEL_FILE}' -d FOLDER`"
)


class SmartTurn:
    """An EndOfTurn (see ports.providers). May be called from several threads."""

    def __init__(self, path: Path) -> None:
        """Load the model (about 60 ms, 70 MB).

        Args:
            path: the file smart-turn-v3.2-cpu.onnx.

        Raises:
            NotInstalled: onnxruntime or the file is missing.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise NotInstalled("Smart Turn needs onnxruntime: type `pip install onnxruntime`") from error
        if not path.is_file():
            raise NotInstalled(f"there is no Smart Turn model at {path}: {GET_IT}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # calls share the machine with recognition
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._model = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no common type
            raise ProviderUnavailable(f"the Smart Turn model at {path} can't be loaded: {error}") from error

    def completeness(self, pcm: Int16Array) -> float:
        """See ports.providers.EndOfTurn.

        Raises:
            BadProviderAnswer: the model refused its input.
        """
        try:
            (answer,) = self._model.run(None, {"input_features": features(pcm)[None]})
        except Exception as error:  # onnxruntime's errors have no common type
            raise BadProviderAnswer(f"Smart Turn failed ({type(error).__name__})") from error
        return float(answer[0, 0])


def features(pcm: Int16Array) -> Float32Array:
    """The last 8 s of int16 mono 16 kHz audio as the model sees them, shape (80, 800).

    Shorter audio is padded with silence in front, so that its end is where the model expects it; loudness is normalised.
    """
    window = np.zeros(WINDOW_S * RATE_HZ, dtype=np.float32)
    recent = to_float(pcm[-len(window) :])
    window[len(window) - len(recent) :] = recent
    even = (window - window.mean()) / np.sqrt(window.var() + LEAST_VARIANCE)
    return np.ascontiguousarray(log_mel(even.astype(np.float32), WINDOW_S))
