"""A bad line, without a network: packets of speech that are lost or late, and what a call hears of them."""

import heapq
import random
from collections.abc import Iterator

import numpy as np

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.webrtc.caller_voice import CallerVoice
from agentvoicebox.webrtc.jitter_buffer import Packet
from agentvoicebox.webrtc.opus import FRAME_SAMPLES, OpusEncoder

FRAME_S = 0.02


def packets_of(pcm: Int16Array) -> list[Packet]:
    """Speech as its sender's packets."""
    encoder = OpusEncoder()
    whole = np.concatenate([pcm, np.zeros(-len(pcm) % FRAME_SAMPLES, np.int16)])
    frames = whole.reshape(-1, FRAME_SAMPLES)
    return [Packet(number, number * 960, encoder.encode(frame)) for number, frame in enumerate(frames)]


def arrivals(packets: list[Packet], loss: float, jitter_s: float, seed: int) -> Iterator[tuple[float, Packet]]:
    """When which packet comes."""
    chance = random.Random(seed)
    line: list[tuple[float, int]] = []
    for index in range(len(packets)):
        is_lost, wait_s = chance.random() < loss, chance.random() * jitter_s
        if not is_lost:
            heapq.heappush(line, (index * FRAME_S + wait_s, index))
    while line:
        at_s, index = heapq.heappop(line)
        yield at_s, packets[index]


def heard(line: Iterator[tuple[float, Packet]]) -> tuple[Int16Array, CallerVoice]:
    """What a call hears, 24 kHz."""
    voice, frames, now_s = CallerVoice(), [], 0.0
    for at_s, packet in line:
        while (due_s := voice.packets.due_s) is not None and due_s < at_s:
            frames += voice.due(due_s)
        now_s = at_s
        frames += voice.hear(packet, now_s)
    frames += voice.due(now_s + 1)
    return np.concatenate(frames), voice
