"""Why an engine is away is in the log, once for each time that it goes away, and never in its callers' words."""

import pytest
from structlog.testing import capture_logs

from agentvoicebox.broker.store_health import ALL
from agentvoicebox.errors import ProviderUnavailable
from agentvoicebox.workers.health import single_engine_check

pytestmark = pytest.mark.requirement("A13")


async def test_an_engine_that_fails_its_test_is_logged_with_the_reason_once() -> None:
    troubles: list[Exception | None] = [
        ProviderUnavailable("the voice is damaged"),
        ProviderUnavailable("the voice is damaged"),
        None,
        ValueError("words of a caller"),
    ]

    async def check() -> None:
        if (trouble := troubles.pop(0)) is not None:
            raise trouble

    check_once = single_engine_check(check)
    with capture_logs() as lines:
        found = [await check_once() for _ in range(4)]
    assert found == [{ALL}, {ALL}, set(), {ALL}]
    assert [line["reason"] for line in lines] == ["the voice is damaged", "ValueError"]
