"""Parses the rules' result: the one place that defines a valid decision."""

from typing import Any

from agentvoicebox.errors import PolicyLost
from agentvoicebox.policy.bundle import PACKAGE
from agentvoicebox.ports.policy import Decision

MOST_REASON = 300  # characters; it goes into the audit log and to the caller


def read_decision(result: Any) -> Decision:
    """A decision from `{"allow": bool, "reason": text}`.

    Raises:
        PolicyLost: it is invalid. Only a plain `true` allows.
    """
    if not isinstance(result, dict) or not isinstance(result.get("allow"), bool):
        raise PolicyLost(
            f"The policy gave no decision: data.{PACKAGE}.decision should be an object with a boolean 'allow'.",
            code="bad_policy_answer",
        )
    reason = result.get("reason", "")
    if not isinstance(reason, str):
        raise PolicyLost("The policy gave a decision whose 'reason' is no text.", code="bad_policy_answer")
    shown = "".join(each if each.isprintable() else " " for each in reason[:MOST_REASON])
    return Decision(result["allow"], shown)
