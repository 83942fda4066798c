"""Who of the clients that were not admitted is served next (C11)."""

import asyncio

import pytest

from agentvoicebox.http_server.turn_queue import TurnQueue

pytestmark = pytest.mark.requirement("C11")


class Served:
    """Remembers whose turn it was."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.is_over = asyncio.Event()

    def enter(self, queue: TurnQueue, source: str, *, needs_turn: bool = True, last: bool = False) -> None:
        def begin() -> bool:
            if needs_turn:
                self.order.append(source)
            if last:
                self.is_over.set()
            return needs_turn

        queue.enter(source, begin)


async def test_a_few_are_served_at_once() -> None:
    queue, served = TurnQueue(per_s=100), Served()
    for number in range(50):
        served.enter(queue, f"10.0.0.{number}")
    assert (len(served.order), len(queue)) == (50, 0)


async def test_a_newcomer_is_served_before_the_many_of_another_source() -> None:
    queue, served = TurnQueue(per_s=100), Served()
    for _ in range(300):
        served.enter(queue, "flood")
    before = len(served.order)
    served.enter(queue, "newcomer", last=True)
    await served.is_over.wait()
    assert before <= 51
    assert served.order.index("newcomer") <= before + 1


async def test_those_that_wait_share_the_rate() -> None:
    queue, served = TurnQueue(per_s=500), Served()
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for number in range(400):
        served.enter(queue, "flood", last=number == 399)
    await served.is_over.wait()
    assert loop.time() - began_s > 0.25  # 250 at once, then 500 a second


async def test_arrivals_one_after_the_other_share_the_rate_too() -> None:
    queue, served = TurnQueue(per_s=500), Served()
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for number in range(400):
        served.enter(queue, "flood", last=number == 399)
        await asyncio.sleep(0)
    await served.is_over.wait()
    assert loop.time() - began_s > 0.25


async def test_requests_within_a_turn_are_charged_to_the_next() -> None:
    queue, served = TurnQueue(per_s=100), Served()
    served.enter(queue, "pipeline")
    for _ in range(60):
        queue.charge()
    served.enter(queue, "another")
    served.enter(queue, "last", last=True)
    assert len(served.order) == 2
    await served.is_over.wait()


async def test_a_client_that_has_left_costs_no_turn() -> None:
    queue, served = TurnQueue(per_s=100), Served()
    for _ in range(1_000):
        served.enter(queue, "gone", needs_turn=False)
    served.enter(queue, "here")
    assert served.order == ["here"]


async def test_without_a_limit_nobody_waits() -> None:
    queue, served = TurnQueue(per_s=0), Served()
    for _ in range(1_000):
        served.enter(queue, "any")
    assert len(served.order) == 1_000


async def test_an_address_that_shows_good_keys_stays_ahead_of_a_flood_of_many_addresses() -> None:
    queue, served = TurnQueue(per_s=200), Served()
    for _ in range(5):  # callers from one address, each with a good key
        served.enter(queue, "office")
        queue.forgive("office")
    for number in range(300):
        served.enter(queue, f"10.0.{number % 100}.1")
    before = len(served.order)
    served.enter(queue, "office", last=True)
    await served.is_over.wait()
    assert served.order[before:].index("office") <= 1


async def test_only_turns_that_were_had_are_forgiven() -> None:
    queue, served = TurnQueue(per_s=100), Served()
    for _ in range(20):
        queue.forgive("flood")
    for _ in range(60):
        served.enter(queue, "flood")
    served.enter(queue, "newcomer", last=True)
    await served.is_over.wait()
    assert served.order.index("newcomer") <= 52
