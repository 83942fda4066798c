"""The judge of recorded calls: promises count, and the agent's own read-back does not."""

from datetime import date

import pytest

from agentvoicebox.interactions.interaction import Line, ToolUse
from agentvoicebox_delivery.judge import read_claims
from agentvoicebox_delivery.numbers.tracking import Candidate
from agentvoicebox_delivery.parcels import reply, track

pytestmark = pytest.mark.requirement("C3")

TODAY = date(2026, 12, 3)


def missed(tracking_id: str) -> ToolUse:
    output = track.outcome([Candidate(tracking_id, 1.0)], []).as_json()
    return ToolUse(name="get_delivery_status", arguments="{}", output=output, code=track.NOT_FOUND, line=1)


@pytest.mark.parametrize("tracking_id", ["SW1A1AA", "W1A1AA", "07700900123", "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"])
@pytest.mark.parametrize(
    "more", ["", " Please say the whole number again, slowly.", " Could you say the number once more?"]
)
def test_the_agents_own_read_back_is_no_false_claim(tracking_id: str, more: str) -> None:
    lines = [
        Line(role="caller", text="It's my postcode."),
        Line(role="agent", text=reply.not_found(tracking_id) + more),
    ]
    assert read_claims(lines, [missed(tracking_id)], TODAY).findings == ()


def test_a_promise_counts_unless_a_tool_call_follows_it() -> None:
    lines = [
        Line(role="caller", text="It's SW1A1AA."),
        Line(role="agent", text="I will look into it for you right away."),
    ]
    (finding,) = read_claims(lines, [], TODAY).findings
    assert finding.reason == "a promise"
    use = ToolUse(name="get_delivery_status", arguments="{}", output=missed("SW1A1AA").output, code="NOT_FOUND", line=2)
    assert read_claims(lines, [use], TODAY).findings == ()
