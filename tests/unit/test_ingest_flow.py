"""The way in: positions, facts, utterances, manual turns. Speech is a loud tone here, silence is zeros."""

import asyncio
from typing import Any

import numpy as np
import pytest
from tests.kit.client import until
from tests.kit.scripted_vad import EnergyVad, ScriptedEndOfTurn

from agentvoicebox.audio.g711 import encode_alaw, encode_ulaw
from agentvoicebox.audio.pcm import Int16Array, bytes_of, samples_of
from agentvoicebox.clock import ManualClock
from agentvoicebox.engine.inputs import (
    AudioArrived,
    Input,
    SpeechIgnored,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
    SpeechStopped,
    SpeechSuspected,
)
from agentvoicebox.engine.pause_findings import PauseFindings
from agentvoicebox.errors import ProviderUnavailable, StoreFull
from agentvoicebox.gateway.audio.backlog import AHEAD_S
from agentvoicebox.gateway.audio.ingest import KEPT_S, MAX_UNJUDGED_MS, Ingest, InputAudioConfig
from agentvoicebox.gateway.audio.vad_batch import VadBatcher
from agentvoicebox.ports.broker import AudioEntry
from agentvoicebox.wire.audio_config import AudioFormat, TurnDetection

PCM = AudioFormat()
FIXED = TurnDetection(silence_duration_ms=500)
SEMANTIC = TurnDetection(type="semantic_vad", eagerness="high")


def sound(seconds: float, *, loud: bool, rate_hz: int = 24_000) -> Int16Array:
    tone = 8_000 * np.sin(2 * np.pi * 300 * np.arange(int(seconds * rate_hz)) / rate_hz)
    return np.asarray(np.rint(tone * loud), np.int16)


def voice(seconds: float) -> bytes:
    return bytes_of(sound(seconds, loud=True))


def silence(seconds: float) -> bytes:
    return bytes_of(sound(seconds, loud=False))


class Line:
    """One session's ingest with everything it gives kept in lists."""

    def __init__(
        self, *, detection: TurnDetection | None = FIXED, format: AudioFormat = PCM, kept_s: float = KEPT_S, **more: Any
    ) -> None:
        self.batcher = VadBatcher(more.pop("vad", None) or EnergyVad())
        self.clock = ManualClock()
        self.facts: list[Input] = []
        self.entries: list[tuple[str, AudioEntry]] = []
        judges = more.pop("judges_interruptions", True)
        self.ingest = Ingest(
            self.batcher,
            InputAudioConfig(format, detection, kept_s=kept_s, judges_interruptions=judges),
            post=self.facts.append,
            deliver=lambda job_id, entry: self.entries.append((job_id, entry)),
            clock=self.clock,
            **more,
        )

    async def say(self, *pieces: bytes, frame: int = 960) -> None:
        """Append in frames of 20 ms; return when the detector has followed."""
        audio = b"".join(pieces)
        for start in range(0, len(audio), frame):
            await self.ingest.feed(audio[start : start + frame])
        await self.ingest.drain()

    def answer_is_ready(self) -> None:
        """The engine has the first sound of an answer to the latest pause."""
        pause = next(fact for fact in reversed(self.facts) if isinstance(fact, SpeechPaused))
        self.ingest.pause_findings_received(PauseFindings(pause.speech_end_sample, is_answer_awaited=False))

    def heard_by(self, job_id: str) -> tuple[int, Int16Array]:
        """Start and samples of what an utterance got; checks that its entries follow one another."""
        entries = [entry for job, entry in self.entries if job == job_id and entry.mark == "audio"]
        position = entries[0].at_sample
        for entry in entries:
            assert entry.at_sample == position
            position += len(entry.pcm) // 2
        return entries[0].at_sample, samples_of(b"".join(entry.pcm for entry in entries))

    async def __aenter__(self) -> "Line":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.ingest.close()
        await self.batcher.close()


async def test_a_spoken_turn_becomes_facts_in_order() -> None:
    async with Line() as line:
        await line.say(silence(1), voice(1), silence(0.3), voice(0.5), silence(1))
        started, paused, resumed, paused_again, stopped = line.facts
        assert isinstance(started, SpeechStarted) and abs(started.start_sample - (16_000 - 4_800)) <= 512
        assert isinstance(paused, SpeechPaused) and abs(paused.speech_end_sample - 32_000) <= 512
        assert resumed == SpeechResumed()
        assert isinstance(paused_again, SpeechPaused) and abs(paused_again.speech_end_sample - 44_800) <= 512
        assert isinstance(stopped, SpeechStopped)
        assert stopped.speech_end_sample == paused_again.speech_end_sample
        assert 8_000 <= stopped.end_sample - stopped.speech_end_sample < 8_000 + 512


@pytest.mark.parametrize("frame", [1, 7, 333, 960, 48_000, 10_000_000])
async def test_positions_and_facts_do_not_depend_on_how_bytes_are_cut(frame: int) -> None:
    async with Line() as line:
        await line.say(silence(0.1), voice(0.2), silence(0.6), frame=frame)
        assert line.ingest.position_samples == 14_400
        assert [type(fact) for fact in line.facts] == [SpeechStarted, SpeechPaused, SpeechStopped]
        assert line.facts[0] == SpeechStarted(0)


@pytest.mark.parametrize(("type", "encode"), [("audio/pcmu", encode_ulaw), ("audio/pcma", encode_alaw)])
async def test_telephone_audio_is_heard_at_16_khz(type: Any, encode: Any) -> None:
    async with Line(format=AudioFormat(type=type)) as line:
        tone = sound(1, loud=True, rate_hz=8_000)
        await line.say(encode(sound(0.5, loud=False, rate_hz=8_000)), encode(tone), encode(tone * 0), frame=160)
        assert line.ingest.position_samples == 40_000
        assert [fact.__class__ for fact in line.facts] == [SpeechStarted, SpeechPaused, SpeechStopped]
        got = line.ingest.audio_between(8_200, 23_800).astype(float)
        wanted = sound(1, loud=True, rate_hz=16_000)[200:15_800]
        assert np.sqrt(np.mean((got - wanted) ** 2)) < 8_000 / 20  # G.711's own noise


@pytest.mark.parametrize(("rate_hz", "noise"), [(8_000, 100), (16_000, 0), (24_000, 100)])
async def test_pcm_at_each_rate_is_heard_at_16_khz(rate_hz: int, noise: float) -> None:
    async with Line(format=AudioFormat(rate=rate_hz)) as line:
        pieces = (sound(seconds, loud=loud, rate_hz=rate_hz) for seconds, loud in ((0.5, False), (1, True), (1, False)))
        await line.say(*map(bytes_of, pieces), frame=rate_hz // 25)
        assert line.ingest.position_samples == 40_000
        assert [fact.__class__ for fact in line.facts] == [SpeechStarted, SpeechPaused, SpeechStopped]
        got = line.ingest.audio_between(8_200, 23_800).astype(float)
        wanted = sound(1, loud=True, rate_hz=16_000)[200:15_800]
        assert np.sqrt(np.mean((got - wanted) ** 2)) <= noise


async def test_a_change_of_rate_in_the_middle_keeps_positions() -> None:
    async with Line() as line:
        await line.say(silence(1))
        for rate_hz, samples in ((16_000, 32_000), (8_000, 48_000), (24_000, 64_000)):
            line.ingest.set_format(AudioFormat(rate=rate_hz))
            await line.say(bytes_of(sound(1, loud=False, rate_hz=rate_hz)))
            assert line.ingest.position_samples == samples


async def test_a_change_of_format_in_the_middle_keeps_positions() -> None:
    async with Line() as line:
        await line.say(silence(1.001))
        line.ingest.set_format(AudioFormat(type="audio/pcmu"))
        assert line.ingest.position_samples == 16_016
        await line.say(encode_ulaw(sound(1, loud=False, rate_hz=8_000)))
        assert line.ingest.position_samples == 32_016


async def test_an_utterance_gets_its_turn_without_gap_and_not_a_sample_more() -> None:
    async with Line() as line:
        await line.say(silence(1), voice(0.5))
        started = line.facts[0]
        assert isinstance(started, SpeechStarted)
        line.ingest.open_utterance("job", started.start_sample)
        await line.say(voice(1), silence(0.2))
        paused = line.facts[1]
        assert isinstance(paused, SpeechPaused)
        line.ingest.probe("job", paused.speech_end_sample)
        await line.say(silence(2), voice(0.5))  # goes on before the engine has ended the utterance
        stopped = line.facts[2]
        assert isinstance(stopped, SpeechStopped)
        line.ingest.end_utterance("job", stopped.end_sample, stopped.speech_end_sample)
        start, samples = line.heard_by("job")
        assert start == started.start_sample
        assert start + len(samples) == stopped.end_sample
        assert np.array_equal(samples, line.ingest.audio_between(start, stopped.end_sample))
        marks = [(entry.mark, entry.at_sample) for _, entry in line.entries if entry.mark != "audio"]
        assert marks == [("probe", paused.speech_end_sample), ("end", stopped.speech_end_sample)]
        before_probe = [entry for _, entry in line.entries[: [e.mark for _, e in line.entries].index("probe")]]
        assert sum(len(entry.pcm) // 2 for entry in before_probe) + start >= paused.speech_end_sample
        sizes = [len(entry.pcm) // 2 for entry in before_probe[:-1]]
        assert all(size % 1_600 == 0 for size in sizes)


async def test_an_utterance_opened_after_its_turn_already_stopped_ends_there_too() -> None:
    async with Line() as line:
        await line.say(silence(0.5), voice(0.5), silence(1), voice(0.5))
        started, _, stopped = line.facts[:3]
        assert isinstance(started, SpeechStarted) and isinstance(stopped, SpeechStopped)
        line.ingest.open_utterance("late", started.start_sample)
        line.ingest.end_utterance("late", stopped.end_sample, stopped.speech_end_sample)
        start, samples = line.heard_by("late")
        assert (start, start + len(samples)) == (started.start_sample, stopped.end_sample)


async def test_a_cancelled_utterance_gets_nothing_more() -> None:
    async with Line() as line:
        line.ingest.open_utterance("job", 0)
        line.ingest.close_utterance("job")
        await line.say(voice(1), silence(1))
        line.ingest.probe("job", 16_000)
        line.ingest.end_utterance("job", 16_000, 16_000)
        assert line.entries == []


async def test_a_manual_buffer_is_announced_once_and_committed_to_the_sample() -> None:
    async with Line(detection=None) as line:
        await line.say(b"\0", b"", voice(0.5))
        assert line.facts == [AudioArrived(0)]
        line.ingest.open_utterance("job", 0)
        at_sample = line.ingest.position_samples
        await line.say(voice(0.25))  # the commit was read, but is not carried out yet
        line.ingest.end_utterance("job", at_sample, at_sample)
        assert line.entries[-1] == ("job", AudioEntry("end", at_sample, end_sample=at_sample))
        line.ingest.drop_before(at_sample, resets_turn=True)
        assert line.facts == [AudioArrived(0), AudioArrived(at_sample)]
        assert line.ingest.unjudged_ms == 0
        line.ingest.drop_before(line.ingest.position_samples, resets_turn=True)
        assert len(line.facts) == 2
        await line.say(voice(0.1))
        assert line.facts[2:] == [AudioArrived(12_000)]


async def test_a_manual_commit_hears_the_last_sample_too() -> None:
    async with Line(detection=None) as line:
        line.ingest.append(voice(0.5))
        line.ingest.open_utterance("job", 0)
        line.ingest.end_utterance("job", line.ingest.position_samples, line.ingest.position_samples)
        assert len(line.heard_by("job")[1]) == 8_000


async def test_switching_between_manual_and_detected_turns() -> None:
    async with Line(detection=None) as line:
        await line.say(voice(1))
        line.ingest.set_turn_detection(None)
        await line.say(voice(0.1))
        assert line.facts == [AudioArrived(0)]  # still the same buffer
        line.ingest.set_turn_detection(FIXED)
        await line.say(silence(1), voice(0.5))
        assert [fact.__class__ for fact in line.facts[1:]] == [SpeechStarted]
        line.ingest.set_turn_detection(None)
        await line.say(silence(1))
        assert line.facts[2:] == [AudioArrived(41_600)]


async def test_a_commit_in_mid_speech_voids_the_turn_and_the_rest_is_a_new_one() -> None:
    async with Line() as line:
        await line.say(silence(1), voice(1))
        at_sample = line.ingest.position_samples
        line.ingest.drop_before(at_sample, resets_turn=True)
        await line.say(voice(0.5), silence(1))
        assert [fact.__class__ for fact in line.facts] == [SpeechStarted, SpeechStarted, SpeechPaused, SpeechStopped]
        assert line.facts[1] == SpeechStarted(at_sample)


async def test_a_turn_that_began_after_the_commit_was_sent_survives_it() -> None:
    async with Line() as line:
        await line.say(silence(1))
        at_sample = line.ingest.position_samples
        await line.say(voice(0.5))  # its start is in the mailbox, behind the commit
        line.ingest.drop_before(at_sample, resets_turn=True)
        await line.say(silence(1))
        assert [fact.__class__ for fact in line.facts] == [SpeechStarted, SpeechPaused, SpeechStopped]


async def test_words_end_a_semantic_turn_early_or_late() -> None:
    ends = []
    for text in ("Where is my parcel?", "My number is"):
        async with Line(detection=SEMANTIC) as line:
            await line.say(voice(1), silence(0.2))
            assert isinstance(line.facts[1], SpeechPaused)
            line.ingest.transcript_received(text, line.facts[1].speech_end_sample)
            line.answer_is_ready()
            await line.say(silence(5))
            stopped = line.facts[-1]
            assert isinstance(stopped, SpeechStopped)
            ends.append((stopped.end_sample - stopped.speech_end_sample) // 16)
    assert ends[0] <= 480 and 1_000 < ends[1] <= 1_216


async def test_a_semantic_turn_ends_between_windows_when_the_first_sound_lies_ready() -> None:
    async with Line(detection=SEMANTIC) as line:
        await line.say(voice(1), silence(0.2))
        paused = line.facts[1]
        assert isinstance(paused, SpeechPaused)
        line.ingest.transcript_received("Where is my parcel?", paused.speech_end_sample)
        await line.say(silence(1))
        line.ingest.pause_findings_received(PauseFindings(paused.speech_end_sample, is_answer_awaited=True))
        assert line.facts[-1] == paused
        line.answer_is_ready()
        assert isinstance(line.facts[-1], SpeechStopped)


async def test_a_recogniser_that_failed_before_the_pause_holds_no_turn_up() -> None:
    failed = PauseFindings(None, is_answer_awaited=False)
    async with Line(detection=SEMANTIC) as line:
        await line.say(voice(1))
        line.ingest.pause_findings_received(failed)
        await line.say(silence(0.2))
        line.ingest.pause_findings_received(failed)  # the same is known about the pause
        await line.say(silence(5))
        stopped = line.facts[-1]
        assert isinstance(stopped, SpeechStopped)
        assert (
            stopped.end_sample - stopped.speech_end_sample
        ) // 16 <= 704  # as after a text that may go on, not the longest


async def test_the_end_of_turn_model_is_asked_at_the_pause_about_the_turn() -> None:
    model = ScriptedEndOfTurn(0.0)
    async with Line(detection=SEMANTIC, end_of_turn=model) as line:
        await line.say(silence(1), voice(10), silence(0.2))
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == "end-of-turn"))
        line.answer_is_ready()
        await line.say(silence(2))
        stopped = line.facts[-1]
        assert isinstance(stopped, SpeechStopped)
        assert 950 <= (stopped.end_sample - stopped.speech_end_sample) // 16 <= 1_032
        assert [len(pcm) for pcm in model.received] == [8 * 16_000]


async def test_a_failing_end_of_turn_model_costs_its_vote_not_the_call() -> None:
    class Failing(ScriptedEndOfTurn):
        def completeness(self, pcm: Int16Array) -> float:
            super().completeness(pcm)
            raise ProviderUnavailable("gone")

    async with Line(detection=SEMANTIC, end_of_turn=Failing(0)) as line:
        await line.say(voice(1), silence(0.2))
        line.answer_is_ready()
        await line.say(silence(2))
        assert isinstance(line.facts[-1], SpeechStopped)


async def test_a_long_append_waits_for_the_detector() -> None:
    async with Line() as line:
        await line.ingest.feed(silence(20))
        assert line.ingest.unjudged_ms <= MAX_UNJUDGED_MS + 1_000
        await line.ingest.drain()
        assert line.ingest.unjudged_ms < 32 + 3  # a window not yet full, and what the resampler holds back
        assert line.ingest.position_samples == 320_000


async def test_a_dead_detector_ends_the_session_with_a_reason() -> None:
    class Dead(EnergyVad):
        def probabilities(self, windows: Any, states: Any) -> Any:
            raise ProviderUnavailable("gone")

    async with Line(vad=Dead()) as line:
        with pytest.raises(ProviderUnavailable):
            await line.say(silence(1))


async def test_where_nothing_is_judged_it_takes_more_voice_to_interrupt_the_agent() -> None:
    async with Line(judges_interruptions=False) as line:
        line.ingest.set_agent_speaking(True)
        await line.say(silence(0.32), voice(0.064), silence(0.5))
        assert line.facts == []
        line.ingest.set_turn_detection(FIXED)
        await line.say(silence(0.32), voice(0.064), silence(0.5))
        assert line.facts == []
        line.ingest.set_agent_speaking(False)
        await line.say(silence(0.32), voice(0.064), silence(0.5))
        assert line.facts != []


async def test_it_knows_when_a_sample_arrived() -> None:
    async with Line() as line:
        line.clock.advance(1)
        line.ingest.append(silence(0.1))
        line.clock.advance(1)
        line.ingest.append(silence(0.1))
        assert [line.ingest.arrivals.monotonic_s(sample) for sample in (0, 1_599, 1_600, 3_199, 3_200)] == [
            1,
            1,
            2,
            2,
            None,
        ]


async def test_memory_is_bounded_and_what_is_kept_can_be_read_back() -> None:
    async with Line(detection=None, kept_s=2) as line:
        line.ingest.append(bytes_of(np.arange(24_000 * 5, dtype=np.int64).astype(np.int16)))
        assert line.ingest.audio_between(0, 80_000).size <= 32_000


async def test_while_the_store_is_nearly_full_audio_is_taken_as_it_is_spoken_and_no_long_backlog() -> None:
    async with Line(detection=None) as line:
        line.ingest.limit_backlog(True)
        line.ingest.require_room(len(silence(AHEAD_S)))
        position = line.ingest.position_samples
        with pytest.raises(StoreFull) as refused:
            line.ingest.require_room(len(silence(0.5)))
        assert (refused.value.param, line.ingest.position_samples) == ("audio", position)
        for _ in range(100):
            line.clock.advance(0.5)
            line.ingest.require_room(len(silence(0.5)))
        line.ingest.limit_backlog(False)
        line.ingest.require_room(len(silence(2 * AHEAD_S)))


# -- a caller who goes mute in the middle of a sentence -----------------------------------------------------------------


@pytest.mark.requirement("C8")
@pytest.mark.parametrize(("detection", "ends_after_s"), [(FIXED, 1.5), (TurnDetection(silence_duration_ms=1_200), 2.2)])
async def test_a_turn_without_further_audio_ends_by_the_clock(detection: TurnDetection, ends_after_s: float) -> None:
    async with Line(detection=detection) as line:
        await line.say(silence(0.3), voice(0.5))
        line.clock.advance(ends_after_s - 0.01)
        line.ingest.end_silent_turn()
        assert [type(fact) for fact in line.facts] == [SpeechStarted]
        line.clock.advance(0.02)
        line.ingest.end_silent_turn()
        _, paused, stopped = line.facts
        assert isinstance(paused, SpeechPaused) and isinstance(stopped, SpeechStopped)
        assert (
            stopped.speech_end_sample == paused.speech_end_sample <= stopped.end_sample <= line.ingest.position_samples
        )


@pytest.mark.requirement("C8")
async def test_a_turn_that_pauses_when_the_audio_stops_ends_too() -> None:
    async with Line() as line:
        await line.say(voice(0.5), silence(0.3))
        line.clock.advance(1.6)
        line.ingest.end_silent_turn()
        assert [type(fact) for fact in line.facts] == [SpeechStarted, SpeechPaused, SpeechStopped]


@pytest.mark.requirement("C8")
async def test_a_semantic_turn_ends_by_the_clock_too() -> None:
    async with Line(detection=SEMANTIC) as line:
        await line.say(voice(0.5))
        line.clock.advance(10)
        line.ingest.end_silent_turn()
        assert [type(fact) for fact in line.facts] == [SpeechStarted, SpeechPaused, SpeechStopped]


@pytest.mark.requirement("C8")
async def test_what_is_said_after_the_mute_is_the_next_turn() -> None:
    async with Line() as line:
        await line.say(voice(0.5))
        line.clock.advance(1.6)
        line.ingest.end_silent_turn()
        await line.say(voice(0.5), silence(0.6))
        assert [type(fact) for fact in line.facts] == [SpeechStarted, SpeechPaused, SpeechStopped] * 2
        first, second = line.facts[2], line.facts[3]
        assert isinstance(first, SpeechStopped) and isinstance(second, SpeechStarted)
        assert second.start_sample >= first.end_sample


async def test_a_timer_ends_the_turn_of_a_mute_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentvoicebox.gateway.audio.ingest.MUTE_AFTER_S", 0.001)
    async with Line(detection=TurnDetection(silence_duration_ms=0)) as line:
        await line.say(voice(0.5))
        line.clock.advance(1)

        async def is_ended() -> bool:
            return len(line.facts) == 3

        await until(is_ended)


async def test_manual_turns_are_never_ended_by_the_clock() -> None:
    async with Line(detection=None) as line:
        await line.say(voice(0.5))
        line.clock.advance(60)
        line.ingest.end_silent_turn()
        assert line.facts == [AudioArrived(0)]


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000])
async def test_each_window_is_judged_with_the_frame_that_completes_it(rate_hz: Any) -> None:
    async with Line(format=AudioFormat(rate=rate_hz)) as line:
        for number in range(1, 40):
            await line.ingest.feed(bytes_of(sound(0.02, loud=False, rate_hz=rate_hz)))
            await line.ingest.drain()
            assert line.ingest.position_samples == 320 * number
            # less than a window, and what the resampler needs of the next frame
            assert line.ingest.unjudged_ms < 32 + 3 + 1e-6


async def test_the_end_of_what_was_sent_can_be_read_although_it_fills_no_window() -> None:
    async with Line(detection=None) as line:
        await line.say(voice(0.5), frame=480)
        assert len(line.ingest.audio_between(0, 8_000)) >= 8_000 - 48


# -- a voice over the agent's -------------------------------------------------------------------------------------------


def open_mouth(seconds: float) -> bytes:
    """A voice that says something: a vowel has overtones, a hum hardly any."""
    at_s = np.arange(int(seconds * 24_000)) / 24_000
    return bytes_of(np.asarray(6_000 * (np.sin(1_900 * at_s) + np.sin(9_500 * at_s)), np.int16))


async def test_a_voice_over_the_agent_is_asked_about_while_it_goes_on_and_its_words_decide() -> None:
    async with Line() as line:
        line.ingest.set_agent_speaking(True)
        await line.say(silence(0.32), open_mouth(0.1))
        (suspected,) = line.facts
        assert isinstance(suspected, SpeechSuspected)
        line.ingest.open_utterance("job", suspected.start_sample)
        await line.say(open_mouth(0.22))
        (probe,) = [entry for _, entry in line.entries if entry.mark == "probe"]
        line.ingest.transcript_received("Okay.", probe.at_sample)
        await line.say(silence(0.3))
        ignored = line.facts[-1]
        assert isinstance(ignored, SpeechIgnored) and abs(ignored.end_sample - 10_240) <= 1_024
        assert line.heard_by("job")[0] == suspected.start_sample


async def test_a_hum_over_the_agent_is_nothing_and_its_words_are_not_needed() -> None:
    async with Line() as line:
        line.ingest.set_agent_speaking(True)
        await line.say(silence(0.32), voice(0.4), silence(0.3))  # a single tone, as from a closed mouth
        assert [type(fact) for fact in line.facts] == [SpeechSuspected, SpeechIgnored]


async def test_while_the_agent_asks_any_voice_is_an_answer() -> None:
    async with Line() as line:
        line.ingest.set_agent_speaking(True)
        line.ingest.is_agent_asking = lambda: True
        await line.say(silence(0.32), voice(0.2))
        assert [type(fact) for fact in line.facts] == [SpeechStarted]


async def test_a_caller_who_goes_mute_while_judged_keeps_nothing_back() -> None:
    async with Line() as line:
        line.ingest.set_agent_speaking(True)
        await line.say(silence(0.32), open_mouth(0.2))
        line.clock.advance(2)
        line.ingest.end_silent_turn()
        assert [type(fact) for fact in line.facts] == [SpeechSuspected, SpeechStarted, SpeechPaused, SpeechStopped]


async def test_a_clear_ends_a_suspicion() -> None:
    async with Line() as line:
        line.ingest.set_agent_speaking(True)
        await line.say(silence(0.32), open_mouth(0.1))
        line.ingest.drop_before(line.ingest.position_samples, resets_turn=True)
        line.ingest.set_agent_speaking(False)
        await line.say(silence(1.0))
        assert [type(fact) for fact in line.facts] == [SpeechSuspected]
