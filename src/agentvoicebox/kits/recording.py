"""Builds the recorder of interactions from the settings and the kits."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from agentvoicebox.clock import Clock
from agentvoicebox.interactions.judge import InteractionJudge
from agentvoicebox.interactions.recorder import InteractionRecorder, OnVerdict
from agentvoicebox.interactions.redaction import InteractionRedactor
from agentvoicebox.kits.registry import Kits
from agentvoicebox.settings import Settings


def interaction_recorder(
    settings: Settings,
    kits: Kits,
    *,
    aliases: Mapping[str, str] | None = None,
    on_verdict: OnVerdict = lambda tape, verdict: None,
    clock: Clock | None = None,
) -> InteractionRecorder:
    """The recorder of one process.

    Args:
        settings: of the deployment.
        kits: provide the judges and the identifiers to mask.
        aliases: name on a hosted platform → the tool's own name.
        on_verdict: see InteractionRecorder.
        clock: for the file names.
    """
    own_names = dict(aliases or {})

    def judge_of(tool_names: Sequence[str]) -> InteractionJudge | None:
        return kits.judge_of([own_names.get(name, name) for name in tool_names])

    return InteractionRecorder(
        Path(settings.data_dir) / "interactions",
        keep_days=settings.record_days,
        keeps_words=settings.record_words,
        redactor=redactor(kits),
        judge_of=judge_of,
        on_verdict=on_verdict,
        clock=clock,
    )


def redactor(kits: Kits) -> InteractionRedactor:
    """The redactor with the kits' identifiers and tool names."""
    return InteractionRedactor(kits.identifier_mask, frozenset(kits.definitions))
