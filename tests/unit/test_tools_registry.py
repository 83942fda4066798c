"""One definition of a tool serves every door, and a call of it never raises."""

from typing import Annotated, Any

import msgspec
import pytest
from tests.kit.kits import DELIVERY

from agentvoicebox.errors import BadProviderAnswer, ProviderUnavailable
from agentvoicebox.tools import formats
from agentvoicebox.tools.definition import MAX_OUTPUT_BYTES, Definition, Outcome, Tool, ToolContext
from agentvoicebox.tools.registry import Registry
from agentvoicebox_delivery import tool as delivery_status
from agentvoicebox_delivery.numbers.tracking import Candidate
from agentvoicebox_delivery.parcels import reply, tool_schema, track
from agentvoicebox_delivery.sources.budget import Answer, AnswerSource

pytestmark = pytest.mark.requirement("C2")

ACME = ToolContext("acme", "sess_1", "call_1")


class Booking(msgspec.Struct, frozen=True):
    """A docstring that no model needs to read."""

    at: Annotated[str, msgspec.Meta(description="When.", pattern=r"^\d\d:\d\d$")]
    people: int = 1
    notes: list[str] = []


BOOK = Definition(name="book_table", description="Book a table.", arguments=Booking)


async def book(booking: Booking, context: ToolContext) -> Outcome:
    return Outcome("OK", f"{context.tenant_id} {booking.at} {booking.people}")


def test_the_schema_is_the_types_own_and_whole() -> None:
    assert BOOK.parameters == {
        "type": "object",
        "properties": {
            "at": {"type": "string", "description": "When.", "pattern": r"^\d\d:\d\d$"},
            "people": {"type": "integer", "default": 1},
            "notes": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["at"],
    }


def test_every_protocol_shows_the_same_name_description_and_parameters() -> None:
    told = (BOOK.name, BOOK.description, BOOK.parameters)
    engine, rest = formats.to_engine(BOOK), formats.to_rest(BOOK)
    assert (engine.name, engine.description, engine.parameters, engine.is_read_only) == (*told, False)
    assert (rest.method, rest.path) == ("POST", "/v1/tools/book_table")
    assert rest.operation["requestBody"]["content"]["application/json"]["schema"] == BOOK.parameters


def test_the_delivery_tool_is_described_once() -> None:
    definition = DELIVERY.definitions[tool_schema.NAME]
    assert definition.parameters == tool_schema.PARAMETERS
    assert definition.is_read_only


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        ('{"at":"10:00"}', "acme 10:00 1"),
        ('{"at":"10:00","people":"3","extra":null}', "acme 10:00 3"),
        ({"At": "10:00", "people": 2.0}, "acme 10:00 2"),
        ('"{\\"at\\":\\"10:00\\"}"', "acme 10:00 1"),
        ('{"at":"10:00","notes":"by the window"}', "acme 10:00 1"),
        ("", '{"error":"invalid_arguments","argument":"at","problem":"missing"}'),
        (None, '{"error":"invalid_arguments","argument":"at","problem":"missing"}'),
        ('{"at":null}', '{"error":"invalid_arguments","argument":"at","problem":"not a text"}'),
        ('{"at":"ten"}', '{"error":"invalid_arguments","argument":"at","problem":"not of the expected form"}'),
        ('{"at":"10:00","people":true}',
         '{"error":"invalid_arguments","argument":"people","problem":"not a whole number"}'),
        ('{"at":"10:00","people":2.5}',
         '{"error":"invalid_arguments","argument":"people","problem":"not a whole number"}'),
        ('{"at":"10:00","notes":[{}]}', '{"error":"invalid_arguments","argument":"notes[0]","problem":"not a text"}'),
        ("[]", '{"error":"invalid_arguments"}'),
        ('{"at":"10:', '{"error":"invalid_arguments"}'),
        ("[" * 100_000, '{"error":"invalid_arguments"}'),
    ],
)  # fmt: skip
async def test_arguments_are_read_leniently_and_refused_in_words(arguments: Any, output: str) -> None:
    assert (await Registry([Tool(BOOK, book)]).run("book_table", arguments, ACME)).output == output


@pytest.mark.parametrize(
    ("fault", "read_only", "changing"),
    [
        (TimeoutError(), "tool_timeout", "outcome_unknown"),
        (ProviderUnavailable("secret words"), "tool_unavailable", "outcome_unknown"),
        (BadProviderAnswer("secret words"), "tool_failed", "outcome_unknown"),
        (KeyError("secret words"), "tool_failed", "outcome_unknown"),
    ],
)
async def test_a_tool_that_breaks_has_one_error_and_none_is_claimed_when_it_may_have_acted(
    fault: Exception, read_only: str, changing: str
) -> None:
    async def broken(booking: Booking, context: ToolContext) -> Outcome:
        raise fault

    for is_read_only, code in ((True, read_only), (False, changing)):
        definition = Definition(name="t", description="", arguments=Booking, is_read_only=is_read_only)
        outcome = await Registry([Tool(definition, broken)]).run("t", '{"at":"10:00"}', ACME)
        assert (outcome.output, outcome.is_error) == (f'{{"error":"{code}"}}', True)


async def test_an_output_that_is_too_long_is_an_error_that_says_so() -> None:
    async def talk(booking: Booking, context: ToolContext) -> Outcome:
        return Outcome("OK", "ä" * booking.people)

    registry = Registry([Tool(BOOK, talk)])
    fits, too_long = MAX_OUTPUT_BYTES // 2, MAX_OUTPUT_BYTES // 2 + 1
    assert (await registry.run("book_table", {"at": "10:00", "people": fits}, ACME)).code == "OK"
    outcome = await registry.run("book_table", {"at": "10:00", "people": too_long}, ACME)
    assert outcome.output == '{"error":"result_too_long"}'


async def test_an_unknown_tool_is_an_answer() -> None:
    assert (await Registry([]).run("launch", "{}", ACME)).output == '{"error":"unknown_tool","tool":"launch"}'


def test_an_agent_gets_its_own_tools_and_no_others() -> None:
    other = Definition(name="other", description="", arguments={})
    own = Definition(name="own", description="", arguments={})
    registry = Registry([Tool(BOOK, book), Tool(other, book)])
    mine = registry.for_agent(["other"], [Tool(own, book)])
    assert [tool.name for tool in mine.all()] == ["other", "own"]
    assert mine.get("book_table") is None
    with pytest.raises(KeyError):
        registry.for_agent(["launch"])
    with pytest.raises(ValueError, match="other"):
        registry.for_agent(["other"], [Tool(other, book)])


@pytest.mark.parametrize(
    ("raw", "first"),
    [
        ('{"tracking_id":"PKG004"}', "PKG004"),
        ('{"Tracking-Number":"PKG004","call_id":"99999999"}', "PKG004"),
        ('{"tracking_id":123456789012}', "123456789012"),
        ('{"candidates":["PKG004","PKG999"]}', "PKG004"),
        ('{"tracking_id":null,"id":"PKG004"}', "PKG004"),
    ],
)
async def test_an_id_is_found_under_its_many_names(raw: str, first: str) -> None:
    asked_for: list[str] = []

    async def find(tenant_id: str, asked: list[Candidate]) -> Answer:
        asked_for.append(asked[0].tracking_id)
        return Answer(AnswerSource.FETCHED, ())

    outcome = await Registry([delivery_status.delivery_status(find)]).run(tool_schema.NAME, raw, ACME)
    assert (outcome.code, asked_for) == (track.NOT_FOUND, [first])
    assert outcome.speech == reply.not_found(first)
    assert msgspec.json.decode(outcome.output)["code"] == track.NOT_FOUND
