"""A client may add a whole conversation at once, and then only as fast as nobody is harmed by it."""

from agentvoicebox.clock import ManualClock
from agentvoicebox.gateway.call.byte_budget import BURST_BYTES, BYTES_A_S, ByteBudget
from agentvoicebox.wire import client_events as ce
from agentvoicebox.wire.items import InputText, MessageItem

LARGE = ce.ConversationItemCreate(item=MessageItem(role="user", content=(InputText(text="x" * 250 * 1024),)))


def test_a_history_is_taken_at_once_and_a_flood_is_told_when_to_try_again() -> None:
    clock = ManualClock()
    budget = ByteBudget(clock)
    taken = 0
    while (refused := budget.charge(LARGE)) is None:
        taken += 1
    assert taken == BURST_BYTES // (250 * 1024 + 200)
    assert refused.code == "rate_limit_exceeded" and 0 < refused.retry_after_s <= 250 * 1024 / BYTES_A_S + 1
    for small in (ce.ResponseCancel(), ce.InputAudioBufferCommit(), ce.ConversationItemDelete(item_id="i")):
        assert budget.charge(small) is None
    clock.advance(refused.retry_after_s + 0.001)
    assert budget.charge(LARGE) is None and budget.charge(LARGE) is not None
    clock.advance(3_600.0)
    assert sum(budget.charge(LARGE) is None for _ in range(100)) == taken
