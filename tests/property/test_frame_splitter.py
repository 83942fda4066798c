"""What the splitter passes on is, for the parser, what the client sent, however the stream is cut."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import OP_BINARY, OP_CONT, OP_PING, OP_TEXT, Frame
from websockets.server import ServerProtocol

from agentvoicebox.http_server.frame_splitter import PIECE_BYTES, FrameSplitter

pytestmark = pytest.mark.requirement("C11")

MAX_BYTES = 4 * PIECE_BYTES
LENGTHS = st.sampled_from([0, 1, 125, 126, 127, 65_535, 65_536, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES, 200_001])
OPCODES = st.sampled_from([OP_TEXT, OP_BINARY, OP_PING])

frames = st.lists(st.tuples(OPCODES, LENGTHS, st.booleans()), min_size=1, max_size=6)


def stream_of(spec: list[tuple[int, int, bool]]) -> tuple[bytes, list[tuple[int, bytes]]]:
    """Client bytes of some messages and pings, and what they are: (opcode, payload)."""
    stream, messages = b"", []
    for opcode, length, is_cut in spec:
        if opcode == OP_PING:
            length = min(length, 125)
        payload = secrets.token_bytes(length)
        messages.append((opcode, payload))
        if is_cut and opcode != OP_PING:
            half = length // 2
            stream += Frame(opcode, payload[:half], fin=False).serialize(mask=True)  # type: ignore[arg-type]
            stream += Frame(OP_CONT, payload[half:]).serialize(mask=True)
        else:
            stream += Frame(opcode, payload).serialize(mask=True)  # type: ignore[arg-type]
    return stream, messages


def parse(pieces: list[bytes]) -> tuple[list[tuple[int, bytes]], int]:
    """The messages that websockets reads, and the length of its longest frame."""
    protocol = ServerProtocol(max_size=None)
    protocol.state = protocol.state.__class__.OPEN
    protocol.parser.close()
    protocol.parser = super(ServerProtocol, protocol).parse()
    next(protocol.parser)
    found: list[tuple[int, bytes]] = []
    longest = 0
    for piece in pieces:
        protocol.receive_data(piece)
        assert protocol.parser_exc is None, protocol.parser_exc
        for frame in protocol.events_received():
            assert isinstance(frame, Frame)
            longest = max(longest, len(frame.data))
            if frame.opcode == OP_CONT:
                opcode, payload = found.pop()
                found.append((opcode, payload + bytes(frame.data)))
            else:
                found.append((int(frame.opcode), bytes(frame.data)))
    return found, longest


@given(frames, st.lists(st.integers(1, 300_000), max_size=12))
def test_the_parser_reads_the_same_messages_in_short_frames(spec: list[tuple[int, int, bool]], cuts: list[int]) -> None:
    stream, messages = stream_of(spec)
    splitter = FrameSplitter(MAX_BYTES)
    pieces: list[bytes] = []
    begun = 0
    rest = stream
    for cut in [*cuts, len(stream)]:
        splitter.feed(rest[:cut])
        rest = rest[cut:]
        while (piece := splitter.take()) is not None:
            assert len(piece.data) <= PIECE_BYTES + 14
            begun += piece.opcode is not None
            pieces.append(piece.data)
    found, longest = parse(pieces)
    assert found == messages
    assert longest <= PIECE_BYTES
    assert len(splitter) == 0
    assert begun == len(spec) + sum(is_cut and opcode != OP_PING for opcode, _, is_cut in spec)


def test_a_frame_over_the_limit_is_passed_on_with_its_own_header() -> None:
    splitter = FrameSplitter(1_000_000)
    header = bytes((0x81, 0xFF)) + (1_000_001).to_bytes(8, "big") + b"mask"
    splitter.feed(header)
    piece = splitter.take()
    assert piece is not None
    assert piece.data == header
