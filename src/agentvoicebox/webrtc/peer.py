"""The connection to the browser: aiortc's, with our own way of hearing and speaking.

aiortc's receiver would hold back 80 ms of audio, leave out what is lost, and decode in a thread of each call. Its jitter buffer
is replaced by one that passes the packets on (`_PacketTap`). Its reports to the sender go on; they steer how much redundancy a
browser sends.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import msgspec
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcconfiguration import RTCIceTransportPolicy
from aiortc.rtcdatachannel import RTCDataChannel
from aiortc.rtcrtpreceiver import RTCRtpReceiver
from aiortc.rtp import RtpPacket

from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.webrtc.agent_voice import AgentVoice
from agentvoicebox.webrtc.jitter_buffer import Packet
from agentvoicebox.webrtc.offer import checked_offer, finished_answer
from agentvoicebox.webrtc.refusal import CallRefused, invalid_offer

EVENTS_LABEL = "oai-events"  # of the data channel, as OpenAI's clients call it
ANSWER_S = 10.0  # for gathering addresses, with a STUN or TURN server that answers late
MAX_UNSENT_BYTES = 4 * 1024 * 1024  # for a browser that does not read its events
MAX_EARLY_EVENTS = 200  # before the data channel is open
CLOSE_S = 5.0
# of aiortc 1.16
RECEIVER_BUFFER = "_RTCRtpReceiver__jitter_buffer"
ICE_TRANSPORTS = "_RTCPeerConnection__iceTransports"

log = get_logger(__name__)


class IcePlan(msgspec.Struct, frozen=True):
    """How browsers reach this server.

    Attributes:
        public_address: stands in for this machine's own addresses; empty: those are given.
        servers: URLs of STUN and TURN servers.
        username, password: of the TURN server.
        is_relay_only: audio goes by the TURN server alone.
    """

    public_address: str = ""
    servers: tuple[str, ...] = ()
    username: str = ""
    password: str = ""
    is_relay_only: bool = False

    def __repr__(self) -> str:
        return f"IcePlan({self.public_address}, {', '.join(self.servers)})"


class _PacketTap:
    """In place of aiortc's jitter buffer: passes packets on, and never has a frame for aiortc's decoder."""

    def __init__(self, hear: Callable[[Packet], None]) -> None:
        self._hear = hear

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        """See aiortc's JitterBuffer."""
        self._hear(Packet(packet.sequence_number, packet.timestamp, packet.payload))
        return False, None


class Peer:
    """One browser's connection.

    Args:
        ice: how it reaches this server.
        voice: the agent's.
        hear: called with each packet of the caller's audio, in the order of arrival.
        read: called with each text of the data channel.

    Attributes:
        connected: set when audio can flow.
        closed: set when the connection has ended, or could not be made.
    """

    def __init__(
        self, ice: IcePlan, voice: AgentVoice, *, hear: Callable[[Packet], None], read: Callable[[str], None]
    ) -> None:
        servers = [RTCIceServer([url], ice.username or None, ice.password or None) for url in ice.servers]
        policy = RTCIceTransportPolicy.RELAY if ice.is_relay_only else RTCIceTransportPolicy.ALL
        # An empty list of servers is none; without one, aiortc would ask Google's.
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=servers, iceTransportPolicy=policy))
        self._ice = ice
        self._voice = voice
        self._hear = hear
        self._read = read
        self._channel: RTCDataChannel | None = None
        self._early: list[str] = []
        self._is_closing = False
        self.connected = asyncio.Event()
        self.closed = asyncio.Event()
        self._connection.on("connectionstatechange", self._state_changed)
        self._connection.on("datachannel", self._channel_opened)

    async def answer(self, sdp: str) -> str:
        """The answer to an offer; the connection is made in the background.

        Raises:
            CallRefused: the offer can't be answered.
        """
        offer = checked_offer(sdp)
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
                self._connection.addTrack(self._voice)
                (transceiver,) = self._connection.getTransceivers()
                tap(transceiver.receiver, self._hear)
                await self._connection.setLocalDescription(await self._connection.createAnswer())
        except TimeoutError as error:
            await self.close()
            message = "No address of this server was found in time; check AVB_WEBRTC_ICE_SERVERS."
            raise CallRefused(message, status=503, code="ice_timeout") from error
        except CallRefused:
            raise
        except Exception as error:  # what aiortc's parser raises is not bounded
            await self.close()
            log.info("an offer can't be answered", error=type(error).__name__)
            raise invalid_offer("The offer can't be answered: its SDP is invalid or incomplete.") from error
        return finished_answer(self._connection.localDescription.sdp, self._ice.public_address)

    def send(self, text: str) -> None:
        """Send an event; before the channel is open it waits. A browser that does not read loses its connection."""
        channel = self._channel
        if channel is None:
            if len(self._early) < MAX_EARLY_EVENTS:
                self._early.append(text)
        elif channel.readyState == "open":
            if channel.bufferedAmount > MAX_UNSENT_BYTES:
                log.warning("a browser does not read its events")
                self.closed.set()
                return
            channel.send(text)

    async def flush(self, at_most_s: float) -> None:
        """Wait until the browser has what was sent."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + at_most_s
        while (  # noqa: ASYNC110
            self._channel is not None
            and self._channel.readyState == "open"
            and self._channel.bufferedAmount
            and loop.time() < until_s
        ):
            await asyncio.sleep(0.02)  # aiortc has no event for it

    async def close(self) -> None:
        """End the connection."""
        self.closed.set()
        self._voice.stop()
        if self._is_closing:
            return
        self._is_closing = True
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._connection.close()
        except (
            Exception
        ) as error:  # aiortc can't close what it has only half made; what it holds of the machine is freed
            log.warning("a connection was not closed in order", error=type(error).__name__)
            for transport in getattr(self._connection, ICE_TRANSPORTS, ()):
                with contextlib.suppress(Exception):
                    await transport.stop()

    def _state_changed(self) -> None:
        match self._connection.connectionState:
            case "connected":
                self.connected.set()
            case "failed" | "closed":
                self.closed.set()
            case _:
                pass

    def _channel_opened(self, channel: RTCDataChannel) -> None:
        if self._channel is not None or channel.label != EVENTS_LABEL:
            return  # others are not read
        self._channel = channel
        channel.on("message", self._message)
        early, self._early = self._early, []
        for text in early:
            self.send(text)

    def _message(self, message: Any) -> None:
        if isinstance(message, str):
            self._read(message)


def tap(receiver: RTCRtpReceiver, hear: Callable[[Packet], None]) -> None:
    """Have a receiver pass its packets on. Raises RuntimeError for a version of aiortc that is built otherwise."""
    if not hasattr(receiver, RECEIVER_BUFFER):
        raise RuntimeError("this version of aiortc is not known; install the one in requirements/run.txt")
    setattr(receiver, RECEIVER_BUFFER, _PacketTap(hear))
