"""A tool of somebody else's is a table in an agent's file; what is wrong with it is said at start."""

from pathlib import Path

import msgspec
import pytest
from tests.kit.kits import DELIVERY

from agentvoicebox.agents import Agents
from agentvoicebox.errors import SettingsError
from agentvoicebox.tools.declaration import ToolDeclaration

GOOD = {
    "name": "book_table",
    "description": "Book a table.",
    "url": "https://tables.example/book",
    "parameters": {"properties": {"at": {"type": "string"}}, "required": ["at"]},
}
FILE = """
instructions = "You take bookings."

[[tools]]
name = "get_delivery_status"

[[tools]]
name = "book_table"
description = "Book a table. Returns the number of the booking."
url = "https://tables.example/book"
headers = { authorization = "Bearer ${TABLES_TOKEN}" }
timeout_s = 3.0
is_idempotent = true

[tools.parameters]
required = ["at"]
[tools.parameters.properties.at]
type = "string"
"""


def test_an_agents_file_declares_tools_beside_the_servers_own(tmp_path: Path) -> None:
    (tmp_path / "waiter.toml").write_text(FILE)
    agent = Agents(kits=DELIVERY, folder=str(tmp_path)).resolve("waiter")
    assert agent.tool_names == ("get_delivery_status", "book_table")
    look_up, book = agent.profile().server_tools
    assert (look_up.is_read_only, book.is_read_only) == (True, False)
    assert book.parameters == {
        "type": "object",
        "properties": {"at": {"type": "string"}},
        "required": ["at"],
    }
    (declared,) = agent.declared_tools
    assert (declared.timeout_s, declared.definition().is_idempotent) == (3.0, True)


def test_parameters_may_be_json_text() -> None:
    declared = msgspec.convert({**GOOD, "parameters": '{"properties":{"n":{"type":"integer"}}}'}, ToolDeclaration)
    assert declared.definition().read('{"n":"4"}') == {"n": 4}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "book a table"}, "1 to 64 letters"),
        ({"url": "ftp://x"}, "https://"),
        ({"url": "https://"}, "https://"),
        ({"url": "https://me:secret@x/"}, "put secrets into headers"),
        ({"url": "https://x:99999/"}, "can't be read"),
        ({"url": ""}, "url is missing"),
        ({"description": " "}, "description"),
        ({"parameters": "["}, "not a JSON object"),
        ({"parameters": {"type": "string"}}, 'should be "object"'),
        ({"parameters": {"properties": {"a": {"$ref": "#/x"}}}}, "$ref"),
        ({"parameters": {"required": ["a"]}}, "required"),
        ({"parameters": {"properties": {"a": {"type": "text"}}}}, "type should be one of"),
        ({"parameters": {"properties": {"a": {"type": "integer", "minimum": "1"}}}}, "minimum should be a number"),
        ({"parameters": {"properties": {"a": {"type": "string", "pattern": "("}}}}, "not a valid pattern"),
        ({"timeout_s": 31.0}, "timeout_s"),
        ({"retries": 6}, "retries"),
        ({"max_result_bytes": 1}, "max_result_bytes"),
        ({"method": "GET"}, "method"),
        ({"headers": {"Host": "x"}}, "header 'Host'"),
        ({"headers": {"a b": "x"}}, "header 'a b'"),
        ({"verify": False}, "verify"),
    ],
)
def test_each_fault_is_said(change: dict[str, object], said: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert({**GOOD, **change}, ToolDeclaration)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "tools",
    [
        'tools = ["get_delivery_status", "get_delivery_status"]',
        '[[tools]]\nname = "get_delivery_status"\ndescription = "Mine."\nurl = "https://x.example"',
        '[[tools]]\nname = "fly"',
    ],
)
def test_names_are_known_and_taken_once(tools: str, tmp_path: Path) -> None:
    (tmp_path / "pilot.toml").write_text(f'instructions = "Fly."\n{tools}\n')
    with pytest.raises(SettingsError, match=r"pilot\.toml"):
        Agents(kits=DELIVERY, folder=str(tmp_path))


def test_secrets_come_from_the_environment_of_whoever_calls() -> None:
    declared = msgspec.convert({**GOOD, "headers": {"x-key": "k ${A} ${B}"}}, ToolDeclaration)
    assert declared.filled_headers({"A": "1", "B": "2"}) == {"x-key": "k 1 2"}
    with pytest.raises(ValueError, match="B is not set"):
        declared.filled_headers({"A": "1"})
    with pytest.raises(ValueError, match="character") as caught:
        declared.filled_headers({"A": "secret\r\nx: y", "B": ""})
    assert "secret" not in str(caught.value)
