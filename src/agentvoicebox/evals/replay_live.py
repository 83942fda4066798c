"""Replays recorded interactions against a running server: types the caller's lines, and posts webhook requests again.

Compares facts and codes, not wording: the server may word an answer differently, and its data may have changed. The scenario's
tolerance decides how much may differ. Lines are typed, not spoken, so that speech recognition has no influence.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import httpx
import msgspec

from agentvoicebox.client.caller import open_call
from agentvoicebox.client.dialing import CallOptions
from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import InfrastructureError
from agentvoicebox.evals.replay import Replay, different, verdict
from agentvoicebox.evals.scenario import Tolerance
from agentvoicebox.interactions.interaction import Interaction
from agentvoicebox.interactions.judge import day_of
from agentvoicebox.interactions.webhooks import uses_of
from agentvoicebox.kits.evaluation import KitEvaluation
from agentvoicebox.privacy.masks import SECRET_KEY
from agentvoicebox.privacy.redact import HIDDEN

POST_TIMEOUT_S = 10.0  # a webhook answers within four


class ServerUnavailable(InfrastructureError):
    """The server under test can't be reached."""

    code = "server_away"


async def replay_lines(
    interaction: Interaction,
    options: CallOptions,
    tolerance: Tolerance,
    evaluation: KitEvaluation,
    *,
    clock: Clock | None = None,
) -> Replay:
    """Type the caller's lines in a live call. The agent must state every fact that it stated in the recording.

    Raises:
        CallFailed: the server can't be reached, or refused the call.
    """
    said = [line.text for line in interaction.transcript if line.role == "caller"]
    answers = [line.text for line in interaction.transcript if line.role == "agent"]
    if not interaction.has_words:
        return verdict(interaction, "lines", "impossible", "words were not recorded (AVB_RECORD_WORDS records them)")
    if not any(said):
        return verdict(interaction, "lines", "impossible", "the caller said nothing")
    async with open_call(options) as call:
        turns = [await call.type(text) for text in said if text]
    if problem := next((turn.problem for turn in turns if turn.problem), ""):
        return verdict(interaction, "lines", "different", problem)
    now = datetime.fromtimestamp((clock or SystemClock()).wall_s(), UTC).date()
    results, with_days = interaction.tool_calls, tolerance.days != "any"
    stated_then = evaluation.stated_facts(answers, day_of(interaction), results, with_days=with_days)
    stated_now = evaluation.stated_facts([turn.replied for turn in turns], now, results, with_days=with_days)
    missing = sorted(stated_then - stated_now)
    was_cut = any(line.is_cut for line in interaction.transcript)
    extra = [] if was_cut else sorted(fact for fact in stated_now - stated_then if not fact.startswith("number"))
    faults = [f"not stated any more: {', '.join(missing)}"] if missing else []
    faults += [f"newly stated: {', '.join(extra)}"] if extra else []
    return verdict(interaction, "lines", "different" if faults else "same", "; ".join(faults))


async def replay_webhook(
    interaction: Interaction,
    client: httpx.AsyncClient,
    url: str,
    tolerance: Tolerance,
    evaluation: KitEvaluation,
    *,
    headers: Mapping[str, str] | None = None,
    today: date | None = None,
) -> Replay:
    """POST a recorded request again: status, codes and facts must be the same.

    Args:
        interaction: of a webhook, with words.
        client: sends the request.
        url: full address of the route.
        tolerance: with `days = "any"` days are not compared.
        evaluation: decides which facts must be the same.
        headers: credentials of the server under test; recordings contain none.
        today: the day of the answer; by default the current day.

    Raises:
        ServerUnavailable: there is no answer at `url`.
    """
    if not interaction.has_words:
        return verdict(interaction, "webhook", "impossible", "ids and words are masked (AVB_RECORD_WORDS records them)")
    if not isinstance(interaction.request, dict) or set(interaction.request) == {"bytes"}:
        return verdict(interaction, "webhook", "impossible", "the request's body was not recorded")
    body = msgspec.json.encode(without_hidden(interaction.request))
    try:
        response = await client.post(
            url, content=body, headers={"Content-Type": "application/json", **(headers or {})}, timeout=POST_TIMEOUT_S
        )
    except httpx.HTTPError as error:
        raise ServerUnavailable(f"no webhook answers at {url} ({type(error).__name__})") from error
    if response.status_code != interaction.status:
        why = f"status {interaction.status} then, {response.status_code} now"
        return verdict(interaction, "webhook", "different", why)
    try:
        answer = response.json()
    except ValueError:
        return verdict(interaction, "webhook", "different", "the answer is not JSON")
    uses = uses_of(interaction.request, answer)
    if len(uses) != len(interaction.tool_calls):
        why = f"{len(interaction.tool_calls)} results then, {len(uses)} now"
        return verdict(interaction, "webhook", "different", why)
    now = today or datetime.now(UTC).date()
    for before, after in zip(interaction.tool_calls, uses, strict=True):
        why = different(
            before,
            after.output,
            day_of(interaction),
            evaluation=evaluation,
            now=now,
            compares_speech=False,
            compares_days=tolerance.days == "exact",
        )
        if why:
            return verdict(interaction, "webhook", "different", why)
    return verdict(interaction, "webhook", "same")


def without_hidden(value: Any) -> Any:
    """A request without the placeholders of its removed secrets: a wrong secret is refused, a missing one may not be."""
    if isinstance(value, dict):
        return {
            key: without_hidden(each) for key, each in value.items() if not (each == HIDDEN and SECRET_KEY.search(key))
        }
    if isinstance(value, list):
        return [without_hidden(each) for each in value]
    return value
