"""Tool calls of webhooks: side effects run once, also after a failure, and the policy decides which tools run."""

from pathlib import Path

from prometheus_client import CollectorRegistry

from agentvoicebox.errors import ProviderUnavailable
from agentvoicebox.policy.bundle import shipped_rules
from agentvoicebox.policy.decisions import Decisions
from agentvoicebox.policy.embedded import EmbeddedPolicy
from agentvoicebox.tools.definition import OUTCOME_UNKNOWN, Definition, Outcome, Tool, ToolContext
from agentvoicebox.tools.registry import Registry
from agentvoicebox.webhook.dispatch import UNAVAILABLE, Dispatch
from agentvoicebox.webhook.extract import WebhookToolCall
from agentvoicebox.webhook.metrics import WebhookMetrics

CONVERSATION = "conversation_1"
BOOKING = WebhookToolCall("call_1", "book_courier", {"day": "monday"}, ())
OWN_RULE = """package agentvoicebox.access

deny contains "no couriers" if {
	input.action == "tool.call"
	input.resource.id == "book_courier"
}
"""


class Courier:
    """A tool that counts its runs, and may fail.

    Attributes:
        runs: so far.
    """

    def __init__(self, *, is_read_only: bool = False, fails: bool = False) -> None:
        self.runs = 0
        self._fails = fails
        schema = {"properties": {"day": {"type": "string"}}}
        definition = Definition(name=BOOKING.name, description="Book.", arguments=schema, is_read_only=is_read_only)
        self.tool = Tool(definition, self._run)

    async def _run(self, arguments: object, context: ToolContext) -> Outcome:
        self.runs += 1
        if self._fails:
            raise ProviderUnavailable("the connection broke after the request")
        return Outcome("OK", "{}")


def dispatch_of(courier: Courier, decisions: Decisions | None = None) -> Dispatch:
    metrics = WebhookMetrics(CollectorRegistry(), messages=frozenset(), routes=frozenset(), codes=frozenset())
    return Dispatch(Registry([courier.tool]), metrics, aliases={}, tenant_id="acme", decisions=decisions)


async def codes_of_two_calls(courier: Courier) -> list[str]:
    """The outcome codes of the same call, made twice."""
    dispatch = dispatch_of(courier)
    outcomes = [outcome for _ in range(2) for outcome in await dispatch.run([BOOKING], CONVERSATION)]
    await dispatch.close()
    return [outcome.code for outcome in outcomes]


async def test_a_failed_side_effect_is_not_begun_again_by_the_same_call() -> None:
    courier = Courier(fails=True)
    assert await codes_of_two_calls(courier) == [OUTCOME_UNKNOWN, OUTCOME_UNKNOWN]
    assert courier.runs == 1


async def test_a_failed_look_up_is_tried_again_by_the_same_call() -> None:
    courier = Courier(is_read_only=True, fails=True)
    assert await codes_of_two_calls(courier) == [UNAVAILABLE, UNAVAILABLE]
    assert courier.runs == 2


async def test_a_tool_that_the_rules_forbid_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "access.rego").write_text((shipped_rules() / "access.rego").read_text())
    (tmp_path / "own.rego").write_text(OWN_RULE)
    courier, decisions = Courier(), Decisions(EmbeddedPolicy(str(tmp_path)))
    dispatch = dispatch_of(courier, decisions)
    (outcome,) = await dispatch.run([BOOKING], CONVERSATION)
    assert outcome.is_error
    assert courier.runs == 0
    await dispatch.close()
    await decisions.close()


async def test_a_tool_that_the_rules_allow_is_run() -> None:
    courier, decisions = Courier(), Decisions(EmbeddedPolicy())
    dispatch = dispatch_of(courier, decisions)
    assert [outcome.code for outcome in await dispatch.run([BOOKING], CONVERSATION)] == ["OK"]
    assert courier.runs == 1
    await dispatch.close()
    await decisions.close()
