"""A session's slot exists before its call: nothing that the call is told in between is lost."""

from agentvoicebox.gateway.admission.service_health import ServiceHealth
from agentvoicebox.gateway.admission.session_registry import SessionSlot
from agentvoicebox.ports.broker import SessionRef

SESSION = SessionRef("acme", "sess_1")


class Call:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def end(self, reason: str, code: int) -> None:
        self.told.append(f"end {reason} {code}")

    def hand_over(self) -> None:
        self.told.append("hand over")

    def drop(self) -> None:
        self.told.append("drop")

    def on_health_changed(self, health: ServiceHealth) -> None:
        self.told.append("health")


def test_what_is_told_before_the_call_is_attached_reaches_it_then_in_order_and_once() -> None:
    slot, call = SessionSlot(SESSION, "owner", None), Call()
    slot.hand_over()
    slot.end("shutdown", 1001)
    slot.on_health_changed(ServiceHealth())  # a call asks for the health itself when it begins
    slot.attach(call)
    assert call.told == ["hand over", "end shutdown 1001"]
    slot.drop()
    slot.on_health_changed(ServiceHealth())
    assert call.told == ["hand over", "end shutdown 1001", "drop", "health"]


def test_the_call_that_held_the_session_is_dropped_only_once_the_session_is_ours() -> None:
    first, before = SessionSlot(SESSION, "one", None), Call()
    first.attach(before)
    second = SessionSlot(SESSION, "two", first)
    second.attach(Call())
    assert before.told == []
    second.displace_previous()
    second.displace_previous()
    assert before.told == ["drop"]
