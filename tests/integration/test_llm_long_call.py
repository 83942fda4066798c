"""An hour of a general agent, in simulated time, over a model with a small context and strict templates: no turn fails."""

import pytest
from tests.kit.chat_server import ChatServer, chat_server
from tests.kit.conversation import Talk
from tests.kit.strict_templates import OVERFLOWS, TEMPLATES, at_most, refusing

from agentvoicebox.engine import inputs as i
from agentvoicebox.engine.jobs import Generate, Synthesise
from agentvoicebox.providers.llm.openai_compatible import OpenAICompatibleLlm
from agentvoicebox.wire import client_events as ce
from agentvoicebox.wire import server_events as ev
from agentvoicebox.wire.items import InputImage, InputText, MessageItem

pytestmark = pytest.mark.requirement("C8")

CONTEXT_TOKENS = 4_000
END_S = 3_590.0  # a session lasts an hour
PIXEL = "data:image/png;base64,iVBORw0KGgo="
ANSWER = "That is a good question, and the answer takes some words. " * 3
INPUT_HZ, OUTPUT_HZ = 16_000, 24_000
CHARACTERS_PER_S = 15


class LongCall:
    """A call of an hour: its caller speaks, types, coughs, interrupts and shows pictures. The model is asked over HTTP."""

    def __init__(self, llm: OpenAICompatibleLlm) -> None:
        self.talk = Talk(answers_noise=False, server_tools=())
        self._llm = llm
        self._sample = 0
        self.turns = 0

    async def turn(self) -> None:
        """One turn of the caller, and all that follows from it."""
        self.turns += 1
        match self.turns % 10:
            case 3:
                await self._type("Something typed", InputText(text=f"typed {self.turns}"))
            case 5:
                await self._speak("")  # a cough
            case 7:
                await self._type("A picture", InputText(text="What is this?"), InputImage(image_url=PIXEL))
            case 8:
                await self._speak(f"Question {self.turns}?", is_cut_short=True)
            case _:
                await self._speak(f"Question {self.turns}: " + "and so on, and so forth, " * 8)

    async def _speak(self, words: str, *, is_cut_short: bool = False) -> None:
        start, end = self._sample, self._sample + 3 * INPUT_HZ
        self._sample = end + INPUT_HZ
        self.talk.wait(3.5)
        self.talk.speech(start, end, words, is_speculated=False)
        await self._work(is_cut_short=is_cut_short)

    async def _type(self, _: str, *parts: InputText | InputImage) -> None:
        self.talk.wait(3.0)
        self.talk.client(ce.ConversationItemCreate(item=MessageItem(role="user", content=parts)), self._sample)
        self.talk.client(ce.ResponseCreate(), self._sample)
        await self._work()

    async def _work(self, *, is_cut_short: bool = False) -> None:
        """The workers answer; the caller listens to the end, or to the first piece of the answer."""
        while self.talk.jobs:
            job = self.talk.jobs[0]
            match job.request:
                case Generate():
                    async for delta in self._llm.generate(job.request, job.job_id):
                        if isinstance(delta, i.TextDelta | i.ToolCallDelta | i.Generated):
                            self.talk.give(delta)
                case Synthesise(text=text):
                    samples = len(text) * OUTPUT_HZ // CHARACTERS_PER_S
                    self.talk.give(i.AudioSynthesised(job.job_id, 1, samples))
                    self.talk.give(i.SynthesisDone(job.job_id))
                    self.talk.wait(samples / OUTPUT_HZ)
                    self.talk.give(i.TimePassed(self._sample))
                    if is_cut_short:
                        return
                case other:
                    raise AssertionError(other)


def last_words(server: ChatServer) -> set[str]:
    """The last line of the caller in each prompt that was taken."""
    words = set()
    for body in server.asked:
        content = [line["content"] for line in body["messages"] if line["role"] == "user"][-1]
        words.add(content if isinstance(content, str) else " ".join(part.get("text", "") for part in content))
    return words


@pytest.mark.parametrize(
    ("template", "overflow"),
    [
        ("mistral", "mistral"),
        ("qwen", "vllm"),
        ("gemma", "llama.cpp"),
        ("llama", "no figures"),
        ("openai", "no reason"),
    ],
)
async def test_an_hour_with_a_model_of_4000_tokens_has_no_failed_turn(template: str, overflow: str) -> None:
    assert overflow in OVERFLOWS
    async with chat_server(*ANSWER.split(" ")) as server:
        server.refuses = refusing(at_most(CONTEXT_TOKENS, overflow), TEMPLATES[template])
        llm = OpenAICompatibleLlm(base_url=server.url, model="m")
        call = LongCall(llm)
        try:
            while call.talk.now_s < END_S:
                await call.turn()
        finally:
            await llm.close()
        statuses = [event.response.status for event in call.talk.sent if isinstance(event, ev.ResponseDone)]
        assert call.turns > 150
        assert set(statuses) <= {"completed", "cancelled"}, statuses
        learns_nothing = overflow == "no reason"
        assert server.refused <= (call.turns // 8 if learns_nothing else 4), "each limit is learnt once"
        asked = {f"Question {number}" for number in range(1, call.turns + 1) if number % 10 not in (3, 5, 7)}
        read = " ".join(last_words(server))
        assert all(f"{question}" in read for question in asked)
