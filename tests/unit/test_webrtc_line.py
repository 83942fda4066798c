"""Packets of a caller's audio: order, loss, lateness, pauses; and what replaces what is lost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kit.web_line import arrivals, heard, packets_of

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.webrtc.caller_voice import CallerVoice
from agentvoicebox.webrtc.jitter_buffer import LEAST_WAIT_S, MOST_PACKETS, MOST_WAIT_S, NUMBERS, JitterBuffer, Packet
from agentvoicebox.webrtc.opus import FRAME_SAMPLES, OpusDecoder, OpusEncoder, UndecodablePacket

pytestmark = pytest.mark.requirement("C10")


def packet(number: int) -> Packet:
    return Packet(number % NUMBERS, number * 960 % (1 << 32), b"x")


def voice(ms: int) -> Int16Array:
    at = np.arange(ms * 24)
    return np.asarray(np.sin(at * 0.1) * 8_000 + np.sin(at * 0.31) * 4_000, np.int16)


def numbers(buffer: JitterBuffer, now_s: float) -> list[tuple[int, int]]:
    return [(found.packet.number, found.lost) for found in buffer.take(now_s)]


def test_packets_in_order_wait_for_nothing() -> None:
    buffer = JitterBuffer()
    for number in range(5):
        buffer.add(packet(number), number * 0.02)
        assert numbers(buffer, number * 0.02) == [(number, 0)]
    assert buffer.due_s is None


def test_packets_that_overtook_each_other_are_put_in_order() -> None:
    buffer = JitterBuffer()
    for number in (0, 2, 3):
        buffer.add(packet(number), 0.0)
    assert numbers(buffer, 0.0) == [(0, 0)]
    buffer.add(packet(1), 0.03)
    assert numbers(buffer, 0.03) == [(1, 0), (2, 0), (3, 0)]
    assert buffer.lost == 0


def test_a_packet_that_does_not_come_is_given_up_after_the_wait() -> None:
    buffer = JitterBuffer()
    for number in (0, 1, 4):
        buffer.add(packet(number), 1.0)
        taken = numbers(buffer, 1.0)
    assert taken == []
    due_s = buffer.due_s
    assert due_s is not None and due_s == pytest.approx(1.0 + buffer.wait_s)
    assert numbers(buffer, due_s - 0.001) == []
    assert numbers(buffer, due_s) == [(4, 2)]
    assert buffer.lost == 2


def test_the_wait_grows_with_late_packets_and_shrinks_again() -> None:
    buffer = JitterBuffer()
    before = buffer.wait_s
    for number in (0, 2):
        buffer.add(packet(number), 0.0)
        buffer.take(0.0)
    assert numbers(buffer, before) == [(2, 1)]
    buffer.add(packet(1), 0.15)
    assert buffer.late == 1 and buffer.wait_s > 0.15
    for number in range(3, 3_000):
        buffer.add(packet(number), number * 0.02)
        buffer.take(number * 0.02)
    assert buffer.wait_s == LEAST_WAIT_S


def test_a_packet_that_comes_twice_is_heard_once() -> None:
    buffer = JitterBuffer()
    buffer.add(packet(0), 0.0)
    assert numbers(buffer, 0.0) == [(0, 0)]
    buffer.add(packet(0), 0.01)
    assert numbers(buffer, 0.01) == [] and buffer.late == 0


def test_numbers_wrap() -> None:
    buffer = JitterBuffer()
    for number in (NUMBERS - 2, NUMBERS, NUMBERS - 1):
        buffer.add(packet(number), 0.0)
    assert numbers(buffer, 0.0) == [(NUMBERS - 2, 0), (NUMBERS - 1, 0), (0, 0)]


def test_a_sender_that_begins_anew_is_followed() -> None:
    buffer = JitterBuffer()
    buffer.add(packet(10), 0.0)
    buffer.take(0.0)
    buffer.add(packet(30_000), 0.02)
    assert numbers(buffer, 0.02) == [(30_000, 0)]


@given(
    st.lists(st.tuples(st.integers(0, NUMBERS - 1), st.floats(0, 0.5)), max_size=300),
)
def test_whatever_comes_nothing_is_held_for_long_and_little_is_kept(comes: list[tuple[int, float]]) -> None:
    buffer, now_s = JitterBuffer(), 0.0
    for number, pause_s in comes:
        now_s += pause_s
        buffer.add(packet(number), now_s)
        buffer.take(now_s)
        assert buffer.due_s is None or now_s <= buffer.due_s <= now_s + MOST_WAIT_S
        assert len(buffer._waiting) <= MOST_PACKETS + 1


@given(st.lists(st.booleans(), min_size=20, max_size=200), st.integers(0, 1_000), st.floats(0.0, 0.07))
def test_audio_is_as_long_as_it_was_however_much_of_it_is_lost(kept: list[bool], seed: int, jitter_s: float) -> None:
    kept[0] = kept[-1] = True
    pieces = packets_of(voice(len(kept) * 20))
    line = [(at_s, each) for at_s, each in arrivals(pieces, 0.0, jitter_s, seed) if kept[each.number]]
    pcm, caller = heard(iter(line))
    first = min(each.number for _, each in line[:1])
    assert len(pcm) == (len(kept) - first) * FRAME_SAMPLES
    assert caller.packets.late == 0 or jitter_s > 0.04


def test_one_lost_packet_is_recovered_from_the_next_and_a_row_is_concealed() -> None:
    pieces = packets_of(voice(1_000))
    caller = CallerVoice()
    for each in pieces:
        if each.number not in (20, 30, 31, 32):
            caller.hear(each, each.number * 0.02)
    caller.due(10.0)
    assert caller.recovered == 2 * FRAME_SAMPLES
    assert caller.concealed == 2 * FRAME_SAMPLES


def test_the_first_sound_of_a_word_is_recovered_though_nothing_before_it_tells_of_it() -> None:
    speech = np.concatenate([np.zeros(50 * FRAME_SAMPLES, np.int16), voice(400)])
    pieces = packets_of(speech)
    whole, _ = heard(iter([(each.number * 0.02, each) for each in pieces]))
    holed, _ = heard(iter([(each.number * 0.02, each) for each in pieces if each.number != 51]))
    lost = slice(51 * FRAME_SAMPLES, 52 * FRAME_SAMPLES)
    loudness = [np.abs(each[lost].astype(float)).mean() for each in (whole, holed)]
    assert loudness[1] > 0.3 * loudness[0] > 0


def test_a_sender_that_pauses_loses_nothing_and_the_pause_is_silence() -> None:
    encoder, caller = OpusEncoder(), CallerVoice()
    data = encoder.encode(voice(20))
    frames = caller.hear(Packet(0, 0, data), 0.0)
    frames += caller.hear(Packet(1, 960 * 11, data), 0.22)
    assert len(frames) == 12
    assert caller.silent == 10 * FRAME_SAMPLES and caller.recovered == 0
    assert not np.concatenate(frames[1:11]).any()


def test_what_is_no_opus_is_left_out() -> None:
    caller = CallerVoice()
    good = OpusEncoder().encode(voice(20))
    frames = caller.hear(Packet(0, 0, good), 0.0)
    frames += caller.hear(Packet(1, 960, b""), 0.02)
    frames += caller.hear(Packet(2, 1_920, b"\xff" * 40), 0.04)
    frames += caller.hear(Packet(3, 2_880, good), 0.06)
    assert caller.undecodable == 2
    assert len(frames) == 4  # what could not be read is silence
    with pytest.raises(UndecodablePacket):
        OpusDecoder().decode(b"\xff" * 40)
