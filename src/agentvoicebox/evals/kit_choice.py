"""Finds the kit of an interaction or a scenario, and that kit's evaluation."""

from collections.abc import Iterable

from agentvoicebox.engine.inputs import Opened
from agentvoicebox.errors import ClientError
from agentvoicebox.interactions.interaction import Interaction
from agentvoicebox.interactions.judge import InteractionJudge
from agentvoicebox.kits.agent_kit import AgentKit
from agentvoicebox.kits.evaluation import KitEvaluation
from agentvoicebox.kits.registry import Kits


class NoEvaluation(ClientError):
    """No kit in AVB_KITS can be evaluated."""

    code = "no_evaluation"


class KitChoice:
    """Chooses a kit of the deployment.

    Args:
        kits: in order; the first one with an evaluation is the default.
    """

    def __init__(self, kits: Kits) -> None:
        self.kits = kits
        self._evaluations = {kit.name: found for kit in kits if (found := kit.evaluation()) is not None}

    def evaluation(self, interaction: Interaction) -> KitEvaluation:
        """The evaluation for an interaction. Raises NoEvaluation."""
        kit = self._of(interaction)
        return self.default if kit is None else self._evaluations[kit.name]

    def judge(self, interaction: Interaction) -> InteractionJudge | None:
        """The judge for an interaction; None if its kit has none."""
        kit = self._of(interaction)
        if kit is None:
            kit = next((each for each in self.kits if each.name in self._evaluations), None)
        return None if kit is None else kit.judge()

    def of_agent(self, agent: str) -> KitEvaluation:
        """The evaluation for an agent; "" for the default. Raises NoEvaluation."""
        return next((each for each in self._evaluations.values() if each.agent == agent), None) or self.default

    def of_kit(self, kit: AgentKit) -> KitEvaluation | None:
        """The evaluation of a kit; None if it has none."""
        return self._evaluations.get(kit.name)

    @property
    def default(self) -> KitEvaluation:
        """The evaluation of the first kit that has one. Raises NoEvaluation."""
        found = next(iter(self._evaluations.values()), None)
        if found is None:
            raise NoEvaluation(f"no kit of AVB_KITS ({', '.join(self.kits.names) or 'none'}) can be evaluated")
        return found

    @property
    def failures(self) -> frozenset[str]:
        """Outcome codes of tool calls that got no answer."""
        return frozenset[str]().union(*(each.failures for each in self._evaluations.values()))

    def _of(self, interaction: Interaction) -> AgentKit | None:
        for kit in self.kits:
            evaluation = self._evaluations.get(kit.name)
            own = {tool.name for tool in kit.tools}
            if evaluation is not None and any(evaluation.tool_name(name) in own for name in _tool_names(interaction)):
                return kit
        return None


def _tool_names(interaction: Interaction) -> Iterable[str]:
    """Names of the called tools, then of the other tools of the agent."""
    yield from (use.name for use in interaction.tool_calls)
    opened = interaction.log[0][1] if interaction.log else None
    if isinstance(opened, Opened):
        yield from (tool.name for tool in opened.agent.server_tools)
