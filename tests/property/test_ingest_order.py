"""Whatever a caller sends and however it is cut: facts make sense, and every utterance gets exactly its samples."""

import asyncio

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kit.scripted_vad import EnergyVad

from agentvoicebox.audio.pcm import bytes_of, samples_of
from agentvoicebox.engine.inputs import Input, SpeechStarted, SpeechStopped
from agentvoicebox.gateway.audio.ingest import Ingest, InputAudioConfig
from agentvoicebox.gateway.audio.vad_batch import VadBatcher
from agentvoicebox.ports.broker import AudioEntry
from agentvoicebox.wire.audio_config import AudioFormat, TurnDetection


@settings(max_examples=40, deadline=None)
@given(
    stretches=st.lists(st.tuples(st.booleans(), st.integers(1, 40)), min_size=1, max_size=12),
    cuts=st.lists(st.integers(1, 30_000), min_size=1, max_size=6),
    lag=st.integers(0, 3),
)
def test_every_utterance_gets_exactly_the_samples_of_its_turn(
    stretches: list[tuple[bool, int]], cuts: list[int], lag: int
) -> None:
    """`stretches`: (loud, length in 32 ms); `cuts`: chunk lengths in bytes, in turn; `lag`: chunks that the engine is behind."""
    sound = np.concatenate([np.full(768 * length, 9_000 * loud, dtype=np.int16) for loud, length in stretches])
    facts: list[Input] = []
    entries: list[tuple[str, AudioEntry]] = []

    async def run() -> None:
        batcher = VadBatcher(EnergyVad())
        ingest = Ingest(
            batcher,
            InputAudioConfig(AudioFormat(), TurnDetection(silence_duration_ms=200)),
            post=facts.append,
            deliver=lambda job_id, entry: entries.append((job_id, entry)),
        )
        data, position, turn, done = bytes_of(sound), 0, 0, 0
        seen = [0] * lag
        while position < len(data):
            chunk = cuts[turn % len(cuts)]
            await ingest.feed(data[position : position + chunk])
            position, turn = position + chunk, turn + 1
            if turn % 3 == 0:
                await ingest.drain()
            seen.append(len(facts))
            done = engine(ingest, done, seen[-1 - lag])
        await ingest.drain()
        engine(ingest, done, len(facts))
        assert ingest.position_samples == -(-len(sound) * 2 // 3)
        ingest.close()
        await batcher.close()

    def engine(ingest: Ingest, done: int, upto: int) -> int:
        """What the engine does about facts, some time after they were posted."""
        for number in range(done, upto):
            match facts[number]:
                case SpeechStarted(start_sample=start):
                    ingest.open_utterance(f"{start}", start)
                case SpeechStopped(end_sample=end, speech_end_sample=speech_end):
                    start = next(f.start_sample for f in reversed(facts[:number]) if isinstance(f, SpeechStarted))
                    ingest.end_utterance(f"{start}", end, speech_end)
                    ingest.drop_before(end)
        return max(done, upto)

    asyncio.run(run())
    end = 0
    turns = [fact for fact in facts if isinstance(fact, SpeechStarted | SpeechStopped)]
    for started, stopped in zip(turns[::2], turns[1::2], strict=False):
        assert isinstance(started, SpeechStarted) and isinstance(stopped, SpeechStopped)
        assert end <= started.start_sample < stopped.speech_end_sample < stopped.end_sample
        end = stopped.end_sample
        mine = [entry for job_id, entry in entries if job_id == f"{started.start_sample}"]
        assert [entry.mark for entry in mine[-1:]] == ["end"]
        position = started.start_sample
        for entry in (entry for entry in mine if entry.mark == "audio"):
            assert entry.at_sample == position
            position += len(samples_of(entry.pcm))
        assert position == stopped.end_sample
