"""G.711 against the standard library's implementation, while there is one, and against values of the standard."""

import warnings

import numpy as np
import pytest

from agentvoicebox.audio import g711

EVERY_SAMPLE = np.arange(65_536, dtype=np.uint16).view(np.int16)
EVERY_CODE = bytes(range(256))


def test_every_code_and_every_sample_agree_with_audioop() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        audioop = pytest.importorskip("audioop", reason="gone from Python 3.13")
    raw = EVERY_SAMPLE.tobytes()
    assert g711.encode_ulaw(EVERY_SAMPLE) == audioop.lin2ulaw(raw, 2)
    assert g711.encode_alaw(EVERY_SAMPLE) == audioop.lin2alaw(raw, 2)
    assert g711.decode_ulaw(EVERY_CODE).tobytes() == audioop.ulaw2lin(EVERY_CODE, 2)
    assert g711.decode_alaw(EVERY_CODE).tobytes() == audioop.alaw2lin(EVERY_CODE, 2)


def test_known_values() -> None:
    assert g711.decode_ulaw(b"\xff\x7f\x80\x00").tolist() == [0, 0, 32_124, -32_124]
    assert g711.decode_alaw(b"\xd5\x55\xaa\x2a").tolist() == [8, -8, 32_256, -32_256]
    assert g711.encode_ulaw(np.array([0, 32_767, -32_768], dtype=np.int16)) == b"\xff\x80\x00"


@pytest.mark.parametrize("law", ["ulaw", "alaw"])
def test_a_decoded_code_encodes_to_a_code_of_the_same_level(law: str) -> None:
    decode, encode = getattr(g711, f"decode_{law}"), getattr(g711, f"encode_{law}")
    levels = decode(EVERY_CODE)
    assert np.array_equal(decode(encode(levels)), levels)


@pytest.mark.parametrize("law", ["ulaw", "alaw"])
def test_the_error_is_at_most_a_sixteenth_of_the_sample(law: str) -> None:
    decode, encode = getattr(g711, f"decode_{law}"), getattr(g711, f"encode_{law}")
    samples = EVERY_SAMPLE.astype(int)
    unclipped = np.abs(samples) < 32_124
    error = np.abs(decode(encode(EVERY_SAMPLE)) - samples)
    assert np.all(error[unclipped] <= np.maximum(16, np.abs(samples[unclipped]) / 16))
