"""Log lines: the same seven fields always, and never a word, a sound or a key."""

import io
import json
import logging
from typing import Any

import pytest

from agentvoicebox.privacy.redact import without_secrets
from agentvoicebox.telemetry import logs

pytestmark = pytest.mark.requirement("A12.4", "A13", "B3.1-3.3")

SECRET = "my number is 4711"


@pytest.fixture
def out() -> io.StringIO:
    """Where lines go."""
    return io.StringIO()


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_every_line_has_the_seven_fields_first(out: io.StringIO) -> None:
    logs.configure(service="gateway", out=out)
    with logs.bound(tenant_id="acme", session_id="sess_1", correlation_id="c1"):
        logs.get_logger("x").info("call began", agent="delivery")
    logging.getLogger("some.library").warning("something odd")
    own, foreign = lines(out)
    assert tuple(own)[:7] == logs.REQUIRED_FIELDS
    assert (own["tenant_id"], own["session_id"], own["correlation_id"]) == ("acme", "sess_1", "c1")
    assert (own["message"], own["agent"], own["service"], own["level"]) == ("call began", "delivery", "gateway", "info")
    assert tuple(foreign)[:7] == logs.REQUIRED_FIELDS
    assert (foreign["message"], foreign["session_id"]) == ("something odd", None)


def test_a_spoken_secret_is_in_no_line(out: io.StringIO) -> None:
    logs.configure(service="gateway", level="debug", out=out)
    log = logs.get_logger("x")
    log.info("heard", **{"pii.text": SECRET})
    log.debug("audio", pcm=SECRET.encode(), headers={"Authorization": f"Bearer {SECRET}"}, api_key=SECRET)
    logging.getLogger("websockets.client").debug(SECRET)
    logging.getLogger("httpx").info("GET http://user:%s@host/", "4711")
    assert "4711" not in out.getvalue()
    assert lines(out)[1]["pcm"] == f"[{len(SECRET)} bytes]"


def test_an_exception_is_logged_by_type_and_place_without_its_message(out: io.StringIO) -> None:
    logs.configure(service="gateway", out=out)
    try:
        raise ValueError(SECRET)
    except ValueError:
        logs.get_logger("x").exception("it broke")
        logging.getLogger("some.library").exception("it broke, too")
    for line in lines(out):
        assert line["exception"] == "ValueError"
        assert "test_telemetry_logs.py" in line["trace"][-1]
    assert "4711" not in out.getvalue()


def test_words_are_shown_on_the_developers_own_console(out: io.StringIO) -> None:
    logs.configure(service="gateway", format="console", out=out)
    logs.get_logger("x").info("heard", **{"pii.text": SECRET})
    assert SECRET in out.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abc.def-4711",
        "redis://:4711@host:6379/0",
        "postgresql://user:4711@host/db",
        "key sk-proj4711abc",
        "openai-insecure-api-key.4711",
        "ek_4711aaaaaaaa",
    ],
)
def test_credentials_inside_texts_are_cut_out(text: str) -> None:
    assert "4711" not in str(without_secrets({"deep": [text]}))


def test_ids_and_numbers_stay_as_they_are() -> None:
    value = {"session_id": "sess_0123456789abcdef0123", "ms": 12.5, "url": "redis://host:6379/0"}
    assert without_secrets(value) == value
