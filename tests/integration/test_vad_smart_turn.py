"""The end-of-turn model. Its weights come by hand: set AVB_MODELS_DIR to the folder with smart-turn-v3.2-cpu.onnx."""

import os
from pathlib import Path

import numpy as np
import pytest
from tests.kit.speech import CACHE, as_caller, catalogue, spoken_by

from agentvoicebox.errors import ProviderUnavailable
from agentvoicebox.providers.tts.piper import Piper
from agentvoicebox.providers.vad.smart_turn import MODEL_FILE, SmartTurn, features

WEIGHTS = Path(os.environ.get("AVB_MODELS_DIR", "no-models-dir"), MODEL_FILE)
have_weights = pytest.mark.skipif(not WEIGHTS.is_file(), reason="the Smart Turn weights are not in AVB_MODELS_DIR")


def test_missing_weights_come_with_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(ProviderUnavailable, match=r"pip download --no-deps pipecat-ai==1.14.0"):
        SmartTurn(tmp_path / MODEL_FILE)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / MODEL_FILE).write_bytes(b"no model")
    with pytest.raises(ProviderUnavailable, match=MODEL_FILE):
        SmartTurn(tmp_path / MODEL_FILE)


@pytest.mark.parametrize("seconds", [0.0, 0.01, 3.0, 8.0, 11.0])
def test_features_end_where_the_speech_ends(seconds: float) -> None:
    sound = (8_000 * np.sin(np.arange(int(seconds * 16_000)) * 0.2)).astype(np.int16)
    picture = features(sound)
    assert picture.shape == (80, 800) and picture.dtype == np.float32
    if seconds == 3.0:
        loud = picture.max(axis=0) > picture.max() - 0.5
        assert not loud[:490].any() and loud[505:790].all()


@have_weights
def test_a_finished_sentence_sounds_more_finished_than_its_first_half() -> None:
    model = SmartTurn(WEIGHTS)
    sound = as_caller(
        spoken_by(Piper(catalogue().locate("piper-joe"), CACHE), "Hello, I would like to know where my parcel is.")
    )
    speech = sound[8_000 : len(sound) - 8_000 + 3_200]
    assert model.completeness(speech) > 0.5 > model.completeness(speech[: len(speech) // 2])
