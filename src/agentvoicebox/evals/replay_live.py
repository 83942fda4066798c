"""Replays recorded interactions against a running server: sends the caller's lines, and posts webhook requests again.

Compares facts and codes, not wording: the server may word an answer differently, and its data may have changed. The scenario's
tolerance decides how much may differ. Of a spoken line the transcript is sent, so that speech recognition has no influence.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import httpx
import msgspec

from agentvoicebox.client.call_record import CallTurn
from agentvoicebox.client.caller import open_call
from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import InfrastructureError, connection_fault
from agentvoicebox.evals.replay import NO_BODY, Replay, different, has_no_body, verdict
from agentvoicebox.evals.scenario import Tolerance
from agentvoicebox.interactions.interaction import Interaction
from agentvoicebox.interactions.judge import day_of
from agentvoicebox.interactions.webhooks import uses_of
from agentvoicebox.kits.evaluation import KitEvaluation
from agentvoicebox.privacy.masks import SECRET_KEY
from agentvoicebox.privacy.redact import HIDDEN
from agentvoicebox.realtime_client.dialing import CallOptions

POST_TIMEOUT_S = 10.0  # a webhook answers within four
WRITTEN: dict[str, Any] = {"output_modalities": ["text"]}  # nothing is synthesised, so nothing is waited for
REFUSALS = {
    401: "refuses the credentials; give them with --header",
    403: "refuses the credentials; give them with --header",
    404: "has no such route; is it the address of the webhook server (port 8001)?",
    405: "takes no POST there; is it the address of the webhook server (port 8001)?",
    429: "takes no more requests now",
}


class ServerUnavailable(InfrastructureError):
    """The server under test can't be reached, or has no such route."""

    code = "server_away"


class RouteRefused(ServerUnavailable):
    """The server answers, but takes no such requests: there is no such route, or the credentials are refused."""

    code = "route_refused"
    retryable = False


async def replay_lines(
    interaction: Interaction,
    options: CallOptions,
    tolerance: Tolerance,
    evaluation: KitEvaluation,
    *,
    clock: Clock | None = None,
    listens: bool = False,
) -> Replay:
    """Send the caller's lines in a live call, typed ones as typed and spoken ones as their transcripts.

    The agent must state every fact that it stated in the recording.

    Args:
        interaction: with words.
        options: the server and the agent.
        tolerance: with `days = "any"` days are not compared.
        evaluation: finds the stated facts.
        clock: for the day of the replay; the machine's by default.
        listens: have each reply spoken and hear it to its end before the next line; without it, replies come as text.

    Raises:
        CallFailed: the server can't be reached, or refused the call.
    """
    said = [line for line in interaction.transcript if line.role == "caller" and line.text]
    answers = [line.text for line in interaction.transcript if line.role == "agent"]
    if not interaction.has_words:
        return verdict(interaction, "lines", "impossible", "words were not recorded (AVB_RECORD_WORDS records them)")
    if not said:
        return verdict(interaction, "lines", "impossible", "the caller said nothing")
    # A call that breaks is not resumed: what is compared is one conversation on one connection.
    options = replace(options, resumes=False, sends_audio=listens, session=options.session if listens else WRITTEN)
    turns: list[CallTurn] = []
    async with open_call(options) as call:
        for line in said:
            turns.append(await (call.type if line.is_typed else call.quote)(line.text))
            if turns[-1].problem:
                return verdict(
                    interaction, "lines", "failed" if call.connection.ended else "different", turns[-1].problem
                )
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
        ServerUnavailable: there is no answer at `url`. RouteRefused: requests like this one are not taken there.
    """
    if not interaction.has_words:
        return verdict(interaction, "webhook", "impossible", "ids and words are masked (AVB_RECORD_WORDS records them)")
    if not isinstance(interaction.request, dict) or has_no_body(interaction.request):
        return verdict(interaction, "webhook", "impossible", NO_BODY)
    body = msgspec.json.encode(without_hidden(interaction.request))
    try:
        response = await client.post(
            url, content=body, headers={"Content-Type": "application/json", **(headers or {})}, timeout=POST_TIMEOUT_S
        )
    except httpx.TimeoutException as error:
        raise ServerUnavailable(f"{url} did not answer within {POST_TIMEOUT_S:g} s") from error
    except httpx.HTTPError as error:
        raise ServerUnavailable(f"no webhook server answers at {url} ({connection_fault(error)})") from error
    if response.status_code != interaction.status and response.status_code in REFUSALS:
        raise RouteRefused(f"{url} {REFUSALS[response.status_code]} (HTTP {response.status_code})")
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
