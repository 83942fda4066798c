"""A SIP caller: sipp makes and ends the call, `rtp` speaks and listens. A test says what it does, and when."""

import asyncio
import re
import signal
import socket
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal

from agentvoicebox.audio.pcm import bytes_of
from agentvoicebox.audio.resample import resample
from agentvoicebox.client.caller_voice import speak_lines
from agentvoicebox.processes.child_command import child_command
from tests.kit.asterisk import CHROOT, EXTENSION, Asterisk, free_udp_port
from tests.kit.rtp import RtpEnd
from tests.kit.speech import CACHE
from tests.kit.telephone_line import ulaw_of
from tests.kit.waiting import PATIENCE_S

QUIET_S = 1.2  # of the agent, after which his sentence is over: longer than between two sentences
STEP_S = 0.02
CALL_ID = "avb-call"
LONGEST_CALL_S = 240
# Calls, and waits for the other side's BYE; an INFO from this process means that the caller hangs up.
SCENARIO = """<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="caller">
<send retrans="500"><![CDATA[
INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: caller <sip:caller@[local_ip]:[local_port]>;tag=[pid]avb[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:caller@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

v=0
o=caller 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio MEDIA_PORT RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20
a=sendrecv
]]></send>
<recv response="100" optional="true"/>
<recv response="180" optional="true"/>
<recv response="183" optional="true"/>
<recv response="200" rrs="true"/>
<send><![CDATA[
ACK [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: caller <sip:caller@[local_ip]:[local_port]>;tag=[pid]avb[call_number]
[last_To:]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv request="INFO" optional="true" next="hang_up"/>
<recv request="BYE"/>
<send next="end"><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
<label id="hang_up"/>
<send retrans="500"><![CDATA[
BYE [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: caller <sip:caller@[local_ip]:[local_port]>;tag=[pid]avb[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 2 BYE
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv response="200"/>
<label id="end"/>
</scenario>
"""


class SipCaller:
    """One call. Times are seconds since 1970.

    Attributes:
        rtp: what was said and heard.
        ended_by: which side hung up; "" while the call goes on.
    """

    def __init__(self, process: Process, rtp: RtpEnd, sip_port: int) -> None:
        self.rtp = rtp
        self.ended_by: Literal["", "caller", "agent"] = ""
        self._process = process
        self._sip_port = sip_port
        self._is_leaving = False

    async def connect(self, messages: Path) -> None:
        """Until the call is answered, by what sipp wrote of its messages: then audio goes both ways."""
        await self.until(lambda: bool(_answer(messages)), "the call is answered")
        self.rtp.connect(_answer(messages))

    async def listen(self) -> tuple[float, float]:
        """Wait until the agent has begun to speak and is silent again; when it began, and when its last sound came."""
        return await self.listen_after(time.time())

    async def listen_after(self, since_s: float) -> tuple[float, float]:
        """The same from a time on."""
        await self.until(lambda: bool(self.rtp.first_loud_s(since_s)), "the agent speaks")
        await self.until(lambda: time.time() - max(since_s, self.rtp.last_loud_s()) > QUIET_S, "the agent is silent")
        return self.rtp.first_loud_s(since_s), self.rtp.last_loud_s()

    async def say(self, line: bytes) -> float:
        """Say a line of `voices` to its end; when it became loud."""
        loud_s = self.rtp.say(line)
        await self.until(lambda: not self.rtp.is_saying, "the caller has spoken")
        return loud_s

    async def hang_up(self) -> None:
        """The caller hangs up."""
        self._is_leaving = True
        request = (
            f"INFO sip:caller@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKavb\r\nFrom: <sip:test>;tag=1\r\n"
            f"To: <sip:caller>;tag=2\r\nCall-ID: {CALL_ID}\r\nCSeq: 9 INFO\r\nContent-Length: 0\r\n\r\n"
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
            way.sendto(request.encode(), ("127.0.0.1", self._sip_port))
        await self.until_over()

    async def until_over(self) -> None:
        """Until either side has hung up."""
        async with asyncio.timeout(PATIENCE_S):
            _, errors = await self._process.communicate()
        assert self._process.returncode == 0, (
            f"sipp: {self._process.returncode}\n{errors.decode(errors='replace')[-2000:]}"
        )
        self.ended_by = "caller" if self._is_leaving else "agent"

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Until something is true of the call, which goes on meanwhile."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not holds():
                    assert self._process.returncode is None, f"the call has ended before: {what}"
                    await asyncio.sleep(STEP_S)
        except TimeoutError as error:
            raise AssertionError(f"waited in vain: {what}") from error


def voices(*texts: str) -> list[bytes]:
    """Lines of the caller, G.711."""
    return [ulaw_of(bytes_of(resample(line.pcm, 24_000, 8_000))) for line in speak_lines(list(texts), cache_dir=CACHE)]


def _answer(messages: Path) -> int:
    """The port of the other side's audio; 0: not known yet."""
    text = messages.read_text(errors="replace") if messages.exists() else ""
    found = re.search(r"SIP/2\.0 200 OK.*?CSeq: 1 INVITE.*?m=audio (\d+) ", text, re.DOTALL)
    return int(found[1]) if found else 0


@asynccontextmanager
async def sip_call(exchange: Asterisk) -> AsyncIterator[SipCaller]:
    """Call the extension; what is left of the call ends with the block."""
    with RtpEnd() as rtp:
        scenario = exchange.log.parents[1] / "caller.xml"
        messages = scenario.with_name(f"messages-{rtp.port}")
        scenario.write_text(SCENARIO.replace("MEDIA_PORT", str(rtp.port)))
        sip_port = free_udp_port()
        command = (
            *(CHROOT, str(exchange.root), "sipp", f"127.0.0.1:{exchange.sip_port}", "-s", EXTENSION),
            *("-sf", f"/{scenario.relative_to(exchange.root)}", "-i", "127.0.0.1", "-p", str(sip_port), "-m", "1"),
            *("-cid_str", CALL_ID, "-nostdin", "-timeout", f"{LONGEST_CALL_S}s", "-timeout_error"),
            *("-trace_msg", "-message_file", f"/{messages.relative_to(exchange.root)}"),
        )
        process = await asyncio.create_subprocess_exec(
            *child_command(list(command), die_with=signal.SIGKILL), stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE
        )
        try:
            caller = SipCaller(process, rtp, sip_port)
            await caller.connect(messages)
            yield caller
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
