"""Cuts the byte stream of a WebSocket client into pieces that the parser takes quickly, and counts its frames.

The parser's time grows with the number and the size of the frames that it gets at a time. So a piece holds one frame, and a long
data frame becomes several fragments of at most PIECE_BYTES: the masking key of a fragment at a multiple of four bytes is that of
the frame (RFC 6455, 5.3). Nothing else is judged here; what the protocol forbids is passed on as it is, for the parser to refuse.
"""

import msgspec

PIECE_BYTES = 65_532  # a multiple of 4, and a length of two bytes
DATA_OPCODES = (0, 1, 2)  # continuation, text, binary
FIN, OPCODE, MASKED, LENGTH = 0x80, 0x0F, 0x80, 0x7F


class FramePiece(msgspec.Struct, frozen=True):
    """Something for the parser.

    Attributes:
        data: the bytes.
        opcode: of the frame that begins here; None for the rest of a frame.
    """

    data: bytes
    opcode: int | None = None


class FrameSplitter:
    """The state between two reads."""

    def __init__(self, max_frame_bytes: int) -> None:
        """`max_frame_bytes`: longer frames are passed on unchanged, for the parser to refuse by their header."""
        self._max_frame_bytes = max_frame_bytes
        self._buffer = bytearray()
        self._start = 0  # of what is not taken yet
        self._piece_left = 0  # payload bytes of the present piece that did not come yet
        self._frame_left = 0  # payload bytes of the present frame behind the present piece
        self._mask = b""
        self._is_last = True  # the present frame has FIN

    def __len__(self) -> int:
        """Number of bytes that were fed and not taken."""
        return len(self._buffer) - self._start

    def feed(self, data: bytes) -> None:
        """Add what was read."""
        if self._start:
            del self._buffer[: self._start]
            self._start = 0
        self._buffer += data

    def take(self) -> FramePiece | None:
        """The next piece; None when more bytes are needed."""
        if self._piece_left:
            data = self._take_payload()
            return FramePiece(data) if data else None
        if self._frame_left:
            return FramePiece(self._continue_frame() + self._take_payload())
        header = self._read_header()
        return None if header is None else FramePiece(header + self._take_payload(), header[0] & OPCODE)

    def _take_payload(self) -> bytes:
        """What is there of the present piece."""
        end = min(self._start + self._piece_left, len(self._buffer))
        data = bytes(self._buffer[self._start : end])
        self._piece_left -= len(data)
        self._start = end
        return data

    def _read_header(self) -> bytes | None:
        """The header to pass on; None when it is not all there."""
        buffer, start = self._buffer, self._start
        if len(self) < 2:
            return None
        first, second = buffer[start], buffer[start + 1]
        length = second & LENGTH
        size = 2
        if length == 126:
            size = 4
        elif length == 127:
            size = 10
        key_at = size
        is_masked = bool(second & MASKED)
        size += 4 if is_masked else 0
        if len(self) < size:
            return None
        if key_at > 2:
            length = int.from_bytes(buffer[start + 2 : start + key_at], "big")
        head = bytes(buffer[start : start + size])
        self._start += size
        is_data = first & ~FIN in DATA_OPCODES  # without reserved bits
        self._piece_left = length
        if is_data and is_masked and PIECE_BYTES < length <= self._max_frame_bytes:
            self._mask, self._is_last = head[-4:], bool(first & FIN)
            self._piece_left, self._frame_left = PIECE_BYTES, length - PIECE_BYTES
            head = self._header(first & OPCODE, PIECE_BYTES, is_last=False)
        return head

    def _continue_frame(self) -> bytes:
        self._piece_left = min(self._frame_left, PIECE_BYTES)
        self._frame_left -= self._piece_left
        return self._header(0, self._piece_left, is_last=self._is_last and not self._frame_left)

    def _header(self, opcode: int, length: int, *, is_last: bool) -> bytes:
        first = (FIN if is_last else 0) | opcode
        if length < 126:
            return bytes((first, MASKED | length)) + self._mask
        return bytes((first, MASKED | 126)) + length.to_bytes(2, "big") + self._mask
