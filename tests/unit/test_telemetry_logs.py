"""Log lines: the same seven fields always, and never a word, a sound or a key."""

import asyncio
import io
import json
import logging
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from agentvoicebox.privacy.redact import without_secrets
from agentvoicebox.telemetry import logs, unhandled
from agentvoicebox.workers.urgent_threads import Due, UrgentThreads

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


def test_each_service_of_a_process_has_its_name_and_its_level(out: io.StringIO) -> None:
    logs.configure(service="worker", level="warning", levels={"llm": "debug", "tool": "error"}, out=out)
    for service in ("llm", "tool"):
        with logs.as_service(service):
            logs.get_logger("x").debug("detail")
            logging.getLogger("some.library").warning("odd")
            logs.get_logger("x").error("wrong")
    logs.get_logger("x").info("of the process")
    logs.get_logger("x").warning("of the process, and odd")
    assert [(line["service"], line["message"]) for line in lines(out)] == [
        ("llm", "detail"),
        ("llm", "odd"),
        ("llm", "wrong"),
        ("tool", "wrong"),
        ("worker", "of the process, and odd"),
    ]


async def test_a_line_from_a_thread_has_the_ids_of_the_job_that_it_works_for(out: io.StringIO) -> None:
    logs.configure(service="tts", out=out)
    threads = UrgentThreads(1, name="test")
    try:
        with logs.bound(tenant_id="acme", session_id="sess_1", trace_id="ab"):
            await threads.run(lambda: logs.get_logger("x").warning("slow"), due=Due(time.monotonic()))
        await threads.run(lambda: logs.get_logger("x").warning("of nobody"), due=Due(time.monotonic()))
    finally:
        threads.close()
    found = [(line["tenant_id"], line["session_id"], line.get("trace_id")) for line in lines(out)]
    assert found == [("acme", "sess_1", "ab"), (None, None, None)]


async def test_a_task_that_works_for_everybody_has_the_ids_of_nobody(out: io.StringIO) -> None:
    logs.configure(service="gateway", out=out)

    async def note() -> None:
        logs.get_logger("x").info("shared")

    with logs.bound(session_id="sess_1"):
        with logs.unbound():
            shared = asyncio.create_task(note())
        await shared
        logs.get_logger("x").info("own")
    assert [(line["message"], line["session_id"]) for line in lines(out)] == [("shared", None), ("own", "sess_1")]


@pytest.fixture
def unhandled_is_logged(out: io.StringIO) -> Iterator[None]:
    """As in a child process."""
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    logs.configure(service="gateway", out=out)
    unhandled.log_unhandled()
    yield
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(False)


class _Broken:
    def __del__(self) -> None:
        raise ValueError(SECRET)


def _break() -> None:
    raise ValueError(SECRET)


@pytest.mark.usefixtures("unhandled_is_logged")
async def test_what_nobody_handles_is_a_line_without_the_text_of_the_error(out: io.StringIO) -> None:
    try:
        _break()
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)
    thread = threading.Thread(target=_break, name="voice")
    thread.start()
    thread.join()
    _Broken()
    loop = asyncio.get_running_loop()
    unhandled.log_unhandled_of_tasks(loop)
    loop.call_soon(_break)
    await asyncio.sleep(0)
    loop.set_exception_handler(None)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    *errors, warned = lines(out)
    assert [(line["message"], line["exception"]) for line in errors] == [
        ("unexpected error", "ValueError"),
        ("unexpected error in a thread", "ValueError"),
        ("unexpected error in a finaliser", "ValueError"),
        ("unexpected error in a task", "ValueError"),
    ]
    assert "DeprecationWarning: old" in warned["message"]
    assert SECRET not in out.getvalue()
