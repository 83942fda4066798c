"""A browser's offer, as aiortc may read it, and the answer, as a browser should."""

import ipaddress
import itertools
import re
from collections.abc import Iterator

from agentvoicebox.webrtc.refusal import invalid_offer

MAX_SDP_BYTES = 64 * 1024  # a browser's has about 6 kB
MAX_LINES = 1_000
MAX_CANDIDATES = 40
OPUS = re.compile(r"a=rtpmap:(\d{1,3}) opus/48000", re.IGNORECASE)
OF_PAYLOAD = re.compile(r"a=(?:rtpmap|fmtp|rtcp-fb):(\d{1,3})[ \t]")
# What the caller's encoder shall do: redundancy against loss, one channel, and silence sent like any audio.
OPUS_PARAMETERS = "minptime=10;useinbandfec=1;stereo=0;usedtx=0"


def checked_offer(sdp: str) -> str:
    """The offer with what a call needs: one audio section, of Opus alone, and at most one for data.

    Candidates whose address is a name are left out: such a name (mDNS) is known in the browser's own network only, and the
    browser is found by the packets that it sends.

    Raises:
        CallRefused: it is no offer of such a call.
    """
    if len(sdp.encode("utf-8", "replace")) > MAX_SDP_BYTES:
        raise invalid_offer(f"The offer has more than {MAX_SDP_BYTES} bytes.")
    lines = [line.strip() for line in sdp.splitlines() if line.strip()]
    if len(lines) > MAX_LINES or not lines or lines[0] != "v=0":
        raise invalid_offer("The body is no SDP offer; it should begin with v=0.")
    starts = [index for index, line in enumerate(lines) if line.startswith("m=")]
    head = lines[: starts[0]] if starts else lines
    sections = [lines[start:end] for start, end in itertools.pairwise([*starts, len(lines)])]
    kinds = [section[0][2:].split(" ", 1)[0] for section in sections]
    if kinds.count("audio") != 1:
        raise invalid_offer(f"The offer has {kinds.count('audio')} audio sections; a call has one.")
    strange = sorted(set(kinds) - {"audio", "application"})
    if strange or kinds.count("application") > 1:
        what = f"a section {strange[0][:20]!r}" if strange else "more than one data section"
        raise invalid_offer(f"The offer has {what}; a call has one audio section and at most one for data.")
    mids = [line[6:] for section in sections for line in section if line.startswith("a=mid:")]
    if len(set(mids)) != len(sections) or set(_bundled(head)) != set(mids):
        raise invalid_offer(
            "The offer's sections need a name each (a=mid), and one connection (a=group:BUNDLE with all of them)."
        )
    kept = [
        line
        for kind, section in zip(kinds, sections, strict=True)
        for line in _without_names(_opus_only(section) if kind == "audio" else section)
    ]
    return "\r\n".join([*head, *kept]) + "\r\n"


def finished_answer(sdp: str, public_address: str = "") -> str:
    """The answer with what the caller's encoder shall do, and the address under which this server is reached from outside.

    Args:
        sdp: aiortc's answer.
        public_address: stands in for the IPv4 or IPv6 host addresses of this machine; empty: they are given as they are.
    """
    lines: list[str] = []
    for line in sdp.splitlines():
        if line.startswith("a=candidate:") and public_address:
            line = _readdressed(line, public_address)
        if line and line not in lines[-1:]:
            lines.append(line)
        found = OPUS.match(line)
        if found and f"a=fmtp:{found[1]} " not in sdp:
            lines.append(f"a=fmtp:{found[1]} {OPUS_PARAMETERS}")
    return "\r\n".join(lines) + "\r\n"


def _bundled(head: list[str]) -> list[str]:
    return next((line.split()[1:] for line in head if line.startswith("a=group:BUNDLE")), [])


def _opus_only(section: list[str]) -> Iterator[str]:
    number = next((found[1] for line in section if (found := OPUS.match(line))), None)
    if number is None:
        raise invalid_offer("The offer's audio section does not offer Opus (opus/48000), which a call needs.")
    media = section[0].split(" ")
    yield " ".join([*media[:3], number])
    for line in section[1:]:
        of = OF_PAYLOAD.match(line)
        if of is None or of[1] == number:
            yield line


def _without_names(section: Iterator[str] | list[str]) -> Iterator[str]:
    candidates = 0
    for line in section:
        if line.startswith("a=candidate:"):
            candidates += 1
            if candidates > MAX_CANDIDATES or not _is_address(_address_of(line)):
                continue
        yield line


def _readdressed(candidate: str, public_address: str) -> str:
    fields = candidate.split(" ")
    own, public = _address_of(candidate), ipaddress.ip_address(public_address)
    if "host" in fields[6:] and _is_address(own) and ipaddress.ip_address(own).version == public.version:
        fields[4] = public_address
    return " ".join(fields)


def _address_of(candidate: str) -> str:
    """`a=candidate:foundation component protocol priority ADDRESS port typ …`."""
    fields = candidate.split()
    return fields[4] if len(fields) > 7 else ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
