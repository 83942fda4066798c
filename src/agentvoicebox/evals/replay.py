"""Replays recorded interactions in process: the engine's effects byte for byte, and the outcome of each tool call.

Decides which outcomes count as the same. Needs no server; `replay_live` replays against a running server.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Literal

import msgspec

from agentvoicebox.engine.inputs import Opened
from agentvoicebox.engine.invariants import Invariants, InvariantViolation
from agentvoicebox.evals.kit_choice import KitChoice
from agentvoicebox.interactions.from_log import FAILED
from agentvoicebox.interactions.interaction import Interaction, ToolUse
from agentvoicebox.interactions.judge import day_of
from agentvoicebox.interactions.rerun import DIGEST_HEX, NotALog, digest, masked_digest, rerun
from agentvoicebox.kits.evaluation import KitEvaluation, RunTool
from agentvoicebox.tools.definition import UNKNOWN_TOOL

NO_BODY = "the request's body was not recorded"

Verdict = Literal["same", "different", "impossible", "failed"]


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """One replay of one interaction.

    Attributes:
        what: `effects`, `tool`, `lines` or `webhook`.
        verdict: `impossible` if the recording lacks what the replay needs, `failed` if the server under test did not take part;
            `why` says what is missing. Both compare nothing.
        why: what differs; "" if nothing does.
    """

    call_id: str
    what: str
    verdict: Verdict
    why: str = ""
    scenario: str = ""

    @property
    def compares(self) -> bool:
        """Whether anything was compared."""
        return self.verdict in ("same", "different")


def verdict(interaction: Interaction, what: str, verdict: Verdict, why: str = "") -> Replay:
    """The result of a replay, with the ids of its interaction."""
    return Replay(call_id=interaction.call_id, what=what, verdict=verdict, why=why, scenario=interaction.scenario)


def replay_effects(interaction: Interaction) -> Replay | None:
    """Run the engine over the interaction's log again; None for an interaction without a log (a webhook).

    With words, each step's effects must equal those of the call, byte for byte. Without words, their masked forms must be equal.
    The invariants of the conversation are checked at each step.
    """
    if not interaction.log:
        return None
    if not interaction.is_whole:
        return verdict(interaction, "effects", "impossible", "the log is incomplete")
    expected = [interaction.digests[at : at + DIGEST_HEX] for at in range(0, len(interaction.digests), DIGEST_HEX)]
    if len(expected) != len(interaction.log):
        why = f"{len(interaction.log)} inputs, but digests of {len(expected)} steps"
        return verdict(interaction, "effects", "different", why)
    of_step = digest if interaction.has_words else masked_digest
    invariants = Invariants()
    try:
        for number, step in enumerate(rerun(interaction.log)):
            if of_step(step.effects).hex() != expected[number]:
                kind = type(step.given).__name__
                why = f"other effects from input {number} on ({kind} at {step.now_s:.3f} s)"
                return verdict(interaction, "effects", "different", why)
            given = None if isinstance(step.given, Opened) else step.given
            invariants.check(step.engine, given, step.effects, step.now_s)
    except InvariantViolation as broken:
        if str(broken).partition(":")[0] != interaction.invariant_broken:
            return verdict(interaction, "effects", "different", f"an invariant is violated: {broken}")
    except NotALog as error:
        return verdict(interaction, "effects", "impossible", str(error))
    return verdict(interaction, "effects", "same")


def has_no_body(request: Any) -> bool:
    """Whether only the length of a webhook's request was recorded."""
    return isinstance(request, dict) and set(request) == {"bytes"}


def _has_arguments(use: ToolUse) -> bool:
    """Whether the arguments of a tool call are those of the request, not what was recorded instead of its body."""
    arguments = _object(use.arguments)
    return bool(arguments) and set(arguments) != {"bytes"}


async def replay_tools(
    interaction: Interaction, evaluation: KitEvaluation, *, run_tool: RunTool | None = None
) -> list[Replay]:
    """Run each tool call of the interaction again; outcome and facts must be the same.

    Args:
        interaction: with words; masked identifiers find nothing.
        evaluation: of the tools' kit.
        run_tool: the tools with a real backend; None: with the backend's recorded answer, as far as the outcome contains it.
    """
    return [await _replay_tool(interaction, use, evaluation, run_tool) for use in interaction.tool_calls]


async def _replay_tool(
    interaction: Interaction, use: ToolUse, evaluation: KitEvaluation, run_tool: RunTool | None
) -> Replay:
    if not interaction.has_words:
        return verdict(interaction, "tool", "impossible", "ids are masked (AVB_RECORD_WORDS keeps them)")
    if has_no_body(interaction.request) and not _has_arguments(use):
        return verdict(interaction, "tool", "impossible", NO_BODY)
    if use.is_client:
        return verdict(interaction, "tool", "impossible", "the client ran it")
    if use.code == FAILED:
        return verdict(interaction, "tool", "impossible", "it did not answer")
    try:
        run = run_tool or evaluation.recorded(use)
    except ValueError as error:
        return verdict(interaction, "tool", "impossible", str(error))
    output = await run(evaluation.tool_name(use.name), use.arguments)
    if run_tool is not None and _object(output).get("error") == UNKNOWN_TOOL:
        return verdict(interaction, "tool", "impossible", "it has an effect, so a replay does not run it")
    difference = different(use, output, day_of(interaction), evaluation=evaluation, compares_speech=run_tool is None)
    return verdict(interaction, "tool", "different" if difference else "same", difference)


def different(
    use: ToolUse,
    output: str,
    then: date,
    *,
    evaluation: KitEvaluation,
    compares_speech: bool = True,
    now: date | None = None,
    compares_days: bool = True,
) -> str:
    """The difference between a recorded tool call and the answer to the same call now; "" if there is none.

    Args:
        use: as recorded.
        output: the answer now, JSON.
        then: the day of the recording.
        evaluation: decides which facts must be the same.
        compares_speech: whether the sentence must state the same; a version may word it differently.
        now: the day of the answer; days are compared relative to it. None: the day of the recording.
        compares_days: False if days may have changed.
    """
    before, after = _object(use.output), _object(output)
    codes = [each.get("code") or each.get("error") or "no code" for each in (before, after)]
    if codes[0] != codes[1]:
        return f"{codes[0]} then, {codes[1]} now"
    old = _facts(evaluation, before, then, compares_days)
    new = _facts(evaluation, after, now or then, compares_days)
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            return f"{name} is not the same"
    has_age = isinstance(before.get("data"), dict) and "age_s" in before["data"]
    sentences = [str(each.get("speech") or "") for each in (before, after)]
    if compares_speech and not has_age and sentences[0] != sentences[1]:
        stated = [evaluation.stated_facts([each], then, [use]) for each in sentences]
        if stated[0] != stated[1] or not all(stated):
            return "the sentence does not state the same"
    return ""


def _object(text: str) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(text.encode()) if text else {}
    except msgspec.DecodeError:
        value = {}
    return value if isinstance(value, dict) else {}


def _facts(evaluation: KitEvaluation, output: dict[str, Any], today: date, with_days: bool) -> dict[str, object]:
    data = output.get("data")
    return evaluation.result_facts(data, today, with_days=with_days) if isinstance(data, dict) else {}


async def replay_all(
    interactions: Sequence[Interaction],
    choice: KitChoice,
    *,
    run_tools: Mapping[str, RunTool] | None = None,
    replays: list[Replay] | None = None,
) -> list[Replay]:
    """Every replay that needs no server.

    Args:
        interactions: of any kit of `choice`.
        choice: the kits.
        run_tools: the tools of each kit over its real backend, by `KitEvaluation.agent`; by default over recorded answers.
        replays: the list to extend, so that a cancelled replay leaves what it has; by default a new one.
    """
    replays = [] if replays is None else replays
    for interaction in interactions:
        await asyncio.sleep(0)  # a point at which it can be cancelled
        effects = replay_effects(interaction)
        replays += [effects] if effects else []
        if interaction.tool_calls:
            evaluation = choice.evaluation(interaction)
            run_tool = (run_tools or {}).get(evaluation.agent)
            replays += await replay_tools(interaction, evaluation, run_tool=run_tool)
    return replays
