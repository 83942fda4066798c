"""LiveKit's agent session with the `livekit-plugins-openai` realtime model and its default settings, without a room.

Its microphone and loudspeaker are the two classes below, as an application without LiveKit's server writes them.
"""

import asyncio
import time

from caller import RATE_HZ, Microphone, order, report
from livekit import rtc
from livekit.agents import Agent, AgentSession, function_tool
from livekit.agents.voice import io
from livekit.plugins import openai


class MicrophoneInput(io.AudioInput):
    """Frames of the microphone."""

    def __init__(self, microphone: Microphone) -> None:
        super().__init__(label="microphone")
        self._frames = microphone.frames()

    async def __anext__(self) -> rtc.AudioFrame:
        frame = await anext(self._frames)
        return rtc.AudioFrame(frame, sample_rate=RATE_HZ, num_channels=1, samples_per_channel=len(frame) // 2)


class Loudspeaker(io.AudioOutput):
    """Plays in real time: knows how much of each answer was heard."""

    def __init__(self) -> None:
        super().__init__(label="loudspeaker", capabilities=io.AudioOutputCapabilities(pause=False), sample_rate=RATE_HZ)
        self._begun_s = 0.0
        self._captured_s = 0.0
        self._ending: asyncio.TimerHandle | None = None

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if not self._captured_s:
            self._begun_s = time.monotonic()
            self.on_playback_started(created_at=time.time())
        self._captured_s += frame.duration

    def flush(self) -> None:
        super().flush()
        if self._captured_s:
            rest_s = self._begun_s + self._captured_s - time.monotonic()
            self._ending = asyncio.get_running_loop().call_later(max(0.0, rest_s), self._end, False)

    def clear_buffer(self) -> None:
        if self._captured_s:
            self._end(True)

    def _end(self, is_interrupted: bool) -> None:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        heard_s = min(self._captured_s, time.monotonic() - self._begun_s)
        self._captured_s = 0.0
        if is_interrupted:
            report("cut", heard_ms=round(heard_s * 1000))
        self.on_playback_finished(playback_position=heard_s, interrupted=is_interrupted)


class Flora(Agent):
    """The agent."""

    def __init__(self) -> None:
        super().__init__(instructions=order["instructions"])

    @function_tool
    async def get_price(self, flower: str) -> str:
        """The price of a flower."""
        report("function", flower=flower)
        return str(order["price"])


async def main() -> None:
    microphone = Microphone()
    model = openai.realtime.RealtimeModel(base_url=order["url"], api_key="any key")
    session: AgentSession[None] = AgentSession(llm=model)
    session.input.audio = MicrophoneInput(microphone)
    session.output.audio = Loudspeaker()
    said: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()
    is_quiet = asyncio.Event()
    is_speaking = asyncio.Event()

    @session.on("conversation_item_added")
    def added(event: object) -> None:
        item = event.item
        if item.type == "message" and item.role == "assistant":
            said.put_nowait((item.text_content, item.interrupted))

    @session.on("agent_state_changed")
    def changed(event: object) -> None:
        if event.new_state == "speaking":
            is_speaking.set()
            is_quiet.clear()
        elif event.old_state == "speaking":
            is_quiet.set()
            is_speaking.clear()

    @session.on("error")
    def failed(event: object) -> None:
        report("error", error=str(event))

    await session.start(Flora())
    report("model", name=model.model)
    microphone.speak("name")
    report("name", said=(await said.get())[0])
    await is_quiet.wait()

    microphone.speak("price")
    report("price", said=(await said.get())[0])
    await is_quiet.wait()

    microphone.speak("endless")
    await is_speaking.wait()
    await asyncio.sleep(5.0)  # the package ignores the caller while it begins to speak
    microphone.speak("stop")
    story, is_interrupted = await said.get()
    report("story", said=story, is_interrupted=is_interrupted)
    report("answer", said=(await said.get())[0])
    await is_quiet.wait()

    report("cut me")
    await asyncio.sleep(3.0)  # the package connects again, and tells the new session what was said
    microphone.speak("name")
    report("after", said=(await said.get())[0])
    await session.aclose()


asyncio.run(main())
