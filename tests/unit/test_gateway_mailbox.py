"""A session's mailbox is bounded: clients and workers wait for room, facts of the turn detector do not."""

import asyncio

from agentvoicebox.clock import ManualClock
from agentvoicebox.engine.inputs import Resumed
from agentvoicebox.gateway.call.mailbox import BATCH_BYTES, CAPACITY, MAX_BATCH, Mailbox

INPUT = Resumed("seed")


async def full() -> Mailbox:
    mailbox = Mailbox(ManualClock())
    for _ in range(CAPACITY):
        await mailbox.offer(INPUT)
    return mailbox


async def test_an_offer_waits_until_a_full_mailbox_has_room() -> None:
    mailbox = await full()
    waiting = asyncio.create_task(mailbox.offer(INPUT))
    await asyncio.sleep(0)
    assert not waiting.done()
    batch = await mailbox.next_batch(None)
    assert batch is not None and len(batch) == MAX_BATCH
    await waiting


async def test_a_fact_is_added_to_a_full_mailbox() -> None:
    mailbox = await full()
    mailbox.post(INPUT)
    inputs = 0
    while not mailbox.is_empty:
        inputs += len(await mailbox.next_batch(None) or ())
    assert inputs == CAPACITY + 1


async def test_long_events_come_a_few_at_a_time_and_in_their_order() -> None:
    mailbox = Mailbox(ManualClock())
    for number in range(6):
        await mailbox.offer(Resumed(str(number)), client_event="conversation.item.create", size=BATCH_BYTES // 2)
    batches = []
    while not mailbox.is_empty:
        batches.append([posted.given for posted in await mailbox.next_batch(None) or ()])
    assert [len(batch) for batch in batches] == [3, 3]
    assert [given for batch in batches for given in batch] == [Resumed(str(number)) for number in range(6)]
