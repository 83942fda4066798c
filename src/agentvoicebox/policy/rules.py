"""One state of the rules in the Rego engine (regorus), compiled and tried on everything that is asked.

Leaves files that change, and time, to `embedded`. An object belongs to the thread that made it; the engine insists on that.
"""

import re
import time
from typing import Any, get_args

import msgspec
from regorus import Engine

from agentvoicebox.errors import PolicyLost, SettingsError
from agentvoicebox.policy.answer import read_decision
from agentvoicebox.policy.bundle import PACKAGE, Bundle
from agentvoicebox.ports.policy import Action, Question

SLOW_S = 0.02
"""Rules are evaluated between the frames of calls (20 ms each), so those that take longer can't be used here. Ours take 40 µs."""

_RULE = f"data.{PACKAGE}.decision"
_SCOPES = ("realtime", "client_secrets", "admin")
_FAULT = re.compile(r"--> (?P<place>[^\n]+?:\d+):\d+\n.*?\nerror: (?P<what>[^\n]+)", re.DOTALL)
_BACKTRACE = "Stack backtrace:"


class Rules:
    """Evaluates.

    Args:
        bundle: what to compile; takes some milliseconds.

    Raises:
        SettingsError: the rules are at fault; the first fault with its file and line.
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
            raise SettingsError(f"the policy in {bundle.origin} needs mending:\n  {_told(error)}") from None
        self._try_everything(bundle.origin)

    def evaluate(self, question: Question) -> Any:
        """The value of the deciding rule.

        Raises:
            PolicyLost: the rules fail on this question.
        """
        try:
            self._engine.set_input_json(msgspec.json.encode(question.to_input()).decode())
            return msgspec.json.decode(self._engine.eval_rule_as_json(_RULE))
        except (RuntimeError, ValueError) as error:
            raise PolicyLost(f"The policy's rules fail: {_told(error)}", code="bad_policy_answer") from None

    def _try_everything(self, origin: str) -> None:
        for action in get_args(Action):
            for scopes in ((), _SCOPES):
                question = Question("a", "key", scopes, action, "b", "c")
                quickest_s = SLOW_S
                for _ in range(3):  # a busy machine may take the core away once
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


def _told(error: Exception) -> str:
    """The engine's complaint as `file:line: what`; it prints the source and a trace as well."""
    text = str(error).partition(_BACKTRACE)[0]
    found = _FAULT.search(text)
    return f"{found['place']}: {found['what']}" if found else " ".join(text.split())[:200]
