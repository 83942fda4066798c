"""One version of the rules in the Rego engine (regorus), compiled and tried on every action.

Changing files and reload times are in `embedded`. An object belongs to the thread that made it; the engine requires this.
"""

import re
import time
from typing import Any, get_args

import msgspec
from regorus import Engine

from agentvoicebox.errors import PolicyLost, SettingsError
from agentvoicebox.policy.answer import read_decision
from agentvoicebox.policy.bundle import PACKAGE, Bundle
from agentvoicebox.ports.policy import Action, PolicyRequest

SLOW_S = 0.02
"""Rules are evaluated between the frames of calls (20 ms each), so slower ones are refused. Ours take 40 µs."""

_RULE = f"data.{PACKAGE}.decision"
_SCOPES = ("realtime", "client_secrets", "admin")
_FAULT = re.compile(r"--> (?P<place>[^\n]+?:\d+):\d+\n.*?\nerror: (?P<what>[^\n]+)", re.DOTALL)
_BACKTRACE = "Stack backtrace:"


class RegoRules:
    """Evaluates one version of the rules.

    Args:
        bundle: the rules to compile; takes some milliseconds.

    Raises:
        SettingsError: the rules are invalid; the first error with its file and line.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.version = bundle.digest
        self._engine = Engine()
        try:
            for name, text in bundle.modules:
                self._engine.add_policy(name, text)
            self._engine.add_data_json(bundle.data)
            self._engine.set_input_json("{}")
            self._engine.eval_rule_as_json(_RULE)
        except RuntimeError as error:
            raise SettingsError(f"the policy in {bundle.origin} is invalid:\n  {_error_text(error)}") from None
        self._try_everything(bundle.origin)

    def evaluate(self, question: PolicyRequest) -> Any:
        """The value of the deciding rule.

        Raises:
            PolicyLost: the rules fail on this request.
        """
        try:
            self._engine.set_input_json(msgspec.json.encode(question.to_input()).decode())
            return msgspec.json.decode(self._engine.eval_rule_as_json(_RULE))
        except (RuntimeError, ValueError) as error:
            raise PolicyLost(f"The policy's rules fail: {_error_text(error)}", code="bad_policy_answer") from None

    def _try_everything(self, origin: str) -> None:
        for action in get_args(Action):
            for scopes in ((), _SCOPES):
                question = PolicyRequest("a", "key", scopes, action, "b", "c")
                quickest_s = SLOW_S
                for _ in range(3):  # a busy machine may preempt this process once
                    began_s = time.thread_time()
                    try:
                        read_decision(self.evaluate(question))
                    except PolicyLost as error:
                        raise SettingsError(f"the policy in {origin}, asked about {action}: {error.message}") from None
                    quickest_s = time.thread_time() - began_s
                    if quickest_s < SLOW_S:
                        break
                else:
                    raise SettingsError(
                        f"the policy in {origin} takes {quickest_s * 1000:.0f} ms to decide about {action}; simplify it, or let "
                        "an OPA server evaluate it (AVB_OPA_URL)"
                    )


def _error_text(error: Exception) -> str:
    """The engine's error as `file:line: what`; it prints the source and a trace as well."""
    text = str(error).partition(_BACKTRACE)[0]
    found = _FAULT.search(text)
    return f"{found['place']}: {found['what']}" if found else " ".join(text.split())[:200]
