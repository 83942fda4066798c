"""The audio of a call is kept where that is wanted: one file in pieces, of what was heard, up to an hour; else nothing."""

import io

import numpy as np
import numpy.typing as npt
import pytest
from soundfile import SoundFile

from agentvoicebox.audio.pcm import Int16Array, bytes_of
from agentvoicebox.clock import ManualClock
from agentvoicebox.gateway.audio import call_audio
from agentvoicebox.gateway.audio.call_audio import AudioPiece, CallAudio


def tone(seconds: float, rate_hz: int, hz: float = 440.0) -> Int16Array:
    return (np.sin(np.arange(round(seconds * rate_hz)) * 2 * np.pi * hz / rate_hz) * 12_000).astype(np.int16)


def levels(pieces: list[AudioPiece]) -> npt.NDArray[np.bool_]:
    """Which sides are loud in each half second of the file; shape (n, 2)."""
    assert [piece.number for piece in pieces] == list(range(len(pieces)))
    with SoundFile(io.BytesIO(b"".join(piece.data for piece in pieces))) as file:
        samples = file.read(dtype="float32", always_2d=True)
        half = file.samplerate // 2
    count = len(samples) // half
    loud: npt.NDArray[np.bool_] = np.abs(samples[: count * half].reshape(count, half, 2)).mean(axis=1) > 0.1
    return loud


async def wanted() -> bool:
    return True


async def unwanted() -> bool:
    return False


class Kept(CallAudio):
    """A call whose pieces are written when the test says so."""

    def __init__(self, clock: ManualClock, is_wanted: bool = True) -> None:
        self.pieces: list[AudioPiece] = []
        self.clock = clock
        super().__init__(wanted if is_wanted else unwanted, self.pieces.append, clock)
        self._is_decided = is_wanted

    async def write(self) -> None:
        await self._write(self._now_s)


async def test_both_sides_are_in_one_file_as_they_were_heard(manual_clock: ManualClock) -> None:
    audio = Kept(manual_clock)
    manual_clock.advance(1.0)
    audio.caller_said(tone(1.0, 16_000))
    manual_clock.advance(1.0)
    await audio.write()
    audio.agent_said(bytes_of(tone(3.0, 24_000)))  # 2 s … 5 s
    manual_clock.advance(1.0)
    await audio.write()
    audio.agent_was_cut()
    manual_clock.advance(2.0)
    await audio.close()
    assert len(audio.pieces) >= 2
    assert levels(audio.pieces).tolist()[:10] == [
        [True, False], [True, False], [False, False], [False, False], [False, True], [False, True],
        *[[False, False]] * 4,
    ]  # fmt: skip


async def test_where_it_is_not_wanted_nothing_is_held_or_written(manual_clock: ManualClock) -> None:
    audio = Kept(manual_clock, is_wanted=False)
    audio.caller_said(tone(1.0, 16_000))
    await audio.run()
    assert audio._heard is None
    audio.agent_said(bytes_of(tone(1.0, 24_000)))
    manual_clock.advance(5.0)
    await audio.close()
    assert audio.pieces == []


async def test_an_hour_is_the_most(manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_audio, "LONGEST_S", 2.0)
    audio = Kept(manual_clock)
    for _ in range(4):
        audio.agent_said(bytes_of(tone(1.0, 24_000)))
        manual_clock.advance(1.0)
        await audio.write()
    await audio.close()
    assert levels(audio.pieces)[:, 1].tolist() == [True] * 4


async def test_a_fault_of_the_encoder_ends_the_audio_and_not_the_call(
    manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(rate_hz: int) -> None:
        raise OSError("no library")

    monkeypatch.setattr(call_audio, "new_call_encoder", broken)
    audio = Kept(manual_clock)
    manual_clock.advance(1.0)
    await audio.write()
    await audio.close()
    assert audio.pieces == []
