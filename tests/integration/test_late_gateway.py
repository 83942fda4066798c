"""A gateway that takes its callers' frames late refuses new calls, and takes them again once it keeps up."""

import json

from tests.kit.client import calling, until
from tests.kit.gateway import gateway
from websockets.asyncio.client import connect

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.gateway.admission.load_shedder import LoadShedder
from agentvoicebox.gateway.admission.service_health import ServiceHealth
from agentvoicebox.gateway.audio.frame_lateness import FrameLateness


class LateFrames(FrameLateness):
    """Frames are as late as it says."""

    late_s = 0.0

    def take(self) -> float:
        return self.late_s


async def test_late_frames_close_the_door_until_they_are_punctual_again(redis_broker: RedisBroker) -> None:
    frames = LateFrames()
    # A busy machine is no reason: only the frames are this late.
    health = ServiceHealth(load=LoadShedder(high_s=20.0, low_s=10.0))
    async with gateway(redis_broker, check_interval_s=0.01, lateness=frames, health=health) as served:
        url = served.url()

        async def code_of_a_new_call() -> str:
            async with connect(url) as ws:
                event = json.loads(await ws.recv())
                return str(event["error"]["code"]) if event["type"] == "error" else ""

        async def is_refused() -> bool:
            return await code_of_a_new_call() == "overloaded"

        async def is_admitted() -> bool:
            return await code_of_a_new_call() == ""

        async with calling(url):
            frames.late_s = 3.0
            await until(is_refused)
            frames.late_s = 0.0
            await until(is_admitted)
            assert len(served.state.sessions) >= 1  # open calls go on
