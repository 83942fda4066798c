"""On a bad line, by WebRTC, the real recogniser understands what was said."""

import re

import numpy as np
import pytest
from tests.kit.speech import catalogue, spoken_by
from tests.kit.web_line import arrivals, heard, packets_of

from agentvoicebox.audio.resample import resample
from agentvoicebox.providers.registry import build_stt, build_tts

pytestmark = pytest.mark.requirement("C10")

SENTENCES = (
    "Hello, I would like to know where my parcel is.",
    "My brother bought a small house near the river last summer.",
    "The meeting was moved to Thursday because the room was taken.",
)
QUIET = np.zeros(12_000, np.int16)


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


@pytest.mark.parametrize(("loss", "jitter_s"), [(0.0, 0.06), (0.05, 0.06), (0.1, 0.06)])
def test_no_word_is_lost_with_its_packets(loss: float, jitter_s: float) -> None:
    stt, tts = build_stt("fast", catalogue(), threads=1), build_tts(["piper"], catalogue())
    missed: list[str] = []
    lost = 0
    for seed, sentence in enumerate(SENTENCES):
        speech = np.concatenate([QUIET, spoken_by(tts, sentence), QUIET])
        pcm, voice = heard(arrivals(packets_of(speech), loss, jitter_s, seed))
        found = words(stt.transcribe(resample(pcm, 24_000, 16_000)).text)
        missed += [word for word in words(sentence) if word not in found]
        lost += voice.packets.lost
    assert (lost > 0) == (loss > 0)
    assert len(missed) <= 1, missed
