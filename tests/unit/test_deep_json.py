"""Clients write the arguments and outputs of tool calls: JSON nested however deep ends nothing that reads it."""

from collections.abc import Callable

import pytest

from agentvoicebox.engine.tool_calls import is_json_object
from agentvoicebox.interactions.from_log import code_of
from agentvoicebox.privacy.masks import masked_json
from agentvoicebox.tools.schema import Unreadable, decode
from agentvoicebox_delivery.parcels.tool_result import read

DEEP = ("[" * 100_000, "[" * 5_000 + "]" * 5_000, '{"a":' * 900 + "1" + "}" * 900)


def arguments(text: str) -> object:
    try:
        return decode(text)
    except Unreadable:
        return None


@pytest.mark.parametrize("text", DEEP, ids=["open", "whole", "objects"])
@pytest.mark.parametrize(
    "reads",
    [lambda text: masked_json(text, lambda value: value), code_of, is_json_object, read, arguments],
    ids=["masks", "records", "language models", "delivery", "tools"],
)
def test_deep_json_is_read_as_any_other_text(reads: Callable[[str], object], text: str) -> None:
    reads(text)
