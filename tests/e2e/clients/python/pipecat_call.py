"""Pipecat's pipeline with its OpenAI Realtime service and default settings, without a transport of a provider.

Its microphone and loudspeaker are the task at the end and the class below, as an application writes them.
"""

import asyncio
import time

from caller import RATE_HZ, Microphone, order, report
from pipecat.adapters.schemas.function_schema import FunctionSchema
from pipecat.adapters.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    InputAudioRawFrame,
    LLMRunFrame,
    OutputAudioRawFrame,
    StartFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner


class Loudspeaker(BaseOutputTransport):
    """Plays in real time."""

    def __init__(self) -> None:
        super().__init__(TransportParams(audio_out_enabled=True, audio_out_sample_rate=RATE_HZ))
        self._due_s = 0.0

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        self._due_s = max(self._due_s, time.monotonic()) + len(frame.audio) / 2 / RATE_HZ
        await asyncio.sleep(max(0.0, self._due_s - time.monotonic()))
        return True


async def get_price(call: FunctionCallParams) -> None:
    report("function", flower=call.arguments["flower"])
    await call.result_callback(order["price"])


async def main() -> None:
    tool = order["tool"]
    parameters = tool["parameters"]
    schema = FunctionSchema(
        name=tool["name"],
        description=tool["description"],
        properties=parameters["properties"],
        required=parameters["required"],
    )
    service = OpenAIRealtimeLLMService(
        api_key="any key",
        base_url=order["url"].replace("http", "ws") + "/realtime",
        settings=OpenAIRealtimeLLMService.Settings(system_instruction=order["instructions"]),
    )
    service.register_function(tool["name"], get_price)
    context = LLMContext([{"role": "user", "content": order["greeting"]}], tools=ToolsSchema(standard_tools=[schema]))
    aggregators = LLMContextAggregatorPair(context)
    loudspeaker = Loudspeaker()
    worker = PipelineWorker(
        Pipeline([aggregators.user(), service, loudspeaker, aggregators.assistant()]),
        params=PipelineParams(audio_in_sample_rate=RATE_HZ, audio_out_sample_rate=RATE_HZ),
    )
    said: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()
    is_speaking, is_quiet = asyncio.Event(), asyncio.Event()
    worker.set_reached_downstream_filter((BotStartedSpeakingFrame, BotStoppedSpeakingFrame))

    @aggregators.assistant().event_handler("on_assistant_turn_stopped")
    async def stopped(_: object, message: object) -> None:
        if message.content:
            said.put_nowait((message.content, message.interrupted))

    @worker.event_handler("on_frame_reached_downstream")
    async def reached(_: object, frame: object) -> None:
        (is_speaking if isinstance(frame, BotStartedSpeakingFrame) else is_quiet).set()
        (is_quiet if isinstance(frame, BotStartedSpeakingFrame) else is_speaking).clear()

    @worker.event_handler("on_pipeline_error")
    async def failed(_: object, frame: object) -> None:
        report("error", error=str(frame))

    microphone = Microphone()

    async def stream() -> None:
        async for frame in microphone.frames():
            await worker.queue_frame(InputAudioRawFrame(audio=frame, sample_rate=RATE_HZ, num_channels=1))

    async def talk() -> None:
        await worker.queue_frame(LLMRunFrame())
        report("greeting", said=(await said.get())[0])
        await is_quiet.wait()
        streaming = asyncio.create_task(stream())

        for name in ("name", "price"):
            microphone.speak(name)
            report(name, said=(await said.get())[0])
            await is_quiet.wait()

        microphone.speak("endless")
        await is_speaking.wait()
        await asyncio.sleep(3.0)
        microphone.speak("stop")
        story, is_interrupted = await said.get()
        report("story", said=story, is_interrupted=is_interrupted)
        report("answer", said=(await said.get())[0])
        streaming.cancel()
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await asyncio.gather(runner.run(worker), talk())


asyncio.run(main())
