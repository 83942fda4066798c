"""Words that a recogniser loses on a bad line, by WebRTC: `python -m benchmarks.webrtc_line`.

Sentences of the built-in voice go as Opus packets over a line that loses some and delays each by up to a jitter, then through the
call's own jitter buffer and decoder (`webrtc/caller_voice`), and to the built-in recogniser. Compared are the words with those of
the same sentences on a perfect line, and with aiortc's own jitter buffer and decoder, which a call would have without ours.
Time is that of the line, so the run takes no longer than the recogniser.
"""

import argparse
import difflib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from aiortc.codecs import get_decoder
from aiortc.jitterbuffer import JitterBuffer as StockBuffer
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RtpPacket

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.audio.resample import resample
from agentvoicebox.providers.registry import build_stt, build_tts
from agentvoicebox.webrtc.jitter_buffer import Packet
from agentvoicebox.webrtc.opus import FRAME_SAMPLES

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.kit.speech import catalogue, spoken_by
from tests.kit.web_line import FRAME_S, arrivals, heard, packets_of

SENTENCES = (
    "Hello, I would like to know where my parcel is.",
    "Please find the package for me, it should have come on Monday.",
    "Can you tell me what the weather will be like tomorrow afternoon?",
    "My brother bought a small house near the river last summer.",
    "I need to change the delivery address before the driver leaves.",
    "The meeting was moved to Thursday because the room was taken.",
    "She asked whether the train from Hamburg would arrive on time.",
    "We have been waiting for an answer since the beginning of March.",
)
QUIET = np.zeros(12_000, np.int16)


def stock(line: Iterator[tuple[float, Packet]]) -> Int16Array:
    """What aiortc alone hears, 24 kHz: it leaves out what is lost."""
    buffer = StockBuffer(capacity=16, prefetch=4)
    decoder = get_decoder(RTCRtpCodecParameters("audio/opus", 48_000, 2, 96))
    found: list[Int16Array] = []
    for _, packet in line:
        rtp = RtpPacket(96, sequence_number=packet.number, timestamp=packet.timestamp)
        rtp._data = packet.data  # type: ignore[attr-defined]
        _, frame = buffer.add(rtp)
        for each in decoder.decode(frame) if frame is not None else []:
            found.append(each.to_ndarray().reshape(-1)[::2])  # type: ignore[attr-defined]
    return resample(np.concatenate(found).astype(np.int16), 48_000, 24_000)


def words(text: str) -> list[str]:
    """In lower case, without marks."""
    return re.findall(r"[a-z']+", text.lower())


def lost_words(expected: list[str], found: list[str]) -> int:
    """Words of `expected` that are not found in their place."""
    blocks = difflib.SequenceMatcher(None, expected, found, autojunk=False).get_matching_blocks()
    return len(expected) - sum(block.size for block in blocks)


def main() -> None:
    """Print one line for each kind of line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    stt, tts = build_stt("fast", catalogue(), threads=1), build_tts(["piper"], catalogue())
    spoken = [np.concatenate([QUIET, spoken_by(tts, each), QUIET]) for each in SENTENCES]
    packets = [packets_of(each) for each in spoken]

    def understood(pcm: Int16Array) -> list[str]:
        return words(stt.transcribe(resample(pcm, 24_000, 16_000)).text)

    missed = sum(lost_words(words(text), understood(pcm)) for text, pcm in zip(SENTENCES, spoken, strict=True))
    print(f"without a line: {missed} of {sum(len(words(text)) for text in SENTENCES)} words lost")
    for loss, jitter_s in ((0.0, 0.0), (0.05, 0.06), (0.1, 0.06), (0.2, 0.1)):
        ours = theirs = total = 0
        lost = recovered = late = 0.0
        seconds = wrong_s = 0.0
        for seed in range(options.seeds if loss else 1):
            for sentence, pieces in zip(SENTENCES, packets, strict=True):
                pcm, voice = heard(arrivals(pieces, loss, jitter_s, seed))
                expected = words(sentence)
                total += len(expected)
                ours += lost_words(expected, understood(pcm))
                theirs += lost_words(expected, understood(stock(arrivals(pieces, loss, jitter_s, seed))))
                lost += voice.packets.lost
                late += voice.packets.late
                recovered += voice.recovered / FRAME_SAMPLES
                seconds += len(pieces) * FRAME_S
                wrong_s += abs(len(pcm) / 24_000 - len(pieces) * FRAME_S)
        print(
            f"loss {loss:4.0%}, jitter {jitter_s * 1000:3.0f} ms: {ours:3d} of {total} words lost (aiortc's buffer: {theirs});"
            f" {lost:.0f} packets given up, {late:.0f} of them came late, {recovered:.0f} recovered;"
            f" {wrong_s:.2f} s of {seconds:.0f} s missing"
        )


if __name__ == "__main__":
    main()
