"""What came back: a result, or a failure of the right kind, in words that a person can act on."""

import httpx
import pytest
from tests.kit.sanity import DATASET

from agentvoicebox.errors import BadProviderAnswer, ProviderUnavailable
from agentvoicebox_delivery.sources.sanity_answer import AttemptFailed, Kind, result_of, retry_after_s, said

JSON = {"content-type": "application/json; charset=utf-8"}
WALL_S = 1_763_978_400.0  # Mon, 24 Nov 2025 10:00:00 GMT


def failure(status: int, body: bytes = b"{}", headers: dict[str, str] = JSON) -> AttemptFailed:
    with pytest.raises(AttemptFailed) as error:
        result_of(status, httpx.Headers(headers), body, DATASET, wall_s=WALL_S)
    return error.value


@pytest.mark.parametrize("result", ["[]", "null", "0", '{"a":1}'])
def test_a_good_answer_gives_its_result(result: str) -> None:
    found = result_of(200, httpx.Headers(JSON), b'{"result":%s,"ms":1}' % result.encode(), DATASET, wall_s=WALL_S)
    assert found == {"[]": [], "null": None, "0": 0, '{"a":1}': {"a": 1}}[result]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"statusCode":401,"error":"Unauthorized","message":"Session not found"}', "Session not found"),
        (b'{"error":{"type":"queryParseError","description":"param $t referenced"}}', "param $t referenced"),
        (b'{"message":"API rate limit exceeded"}', "API rate limit exceeded"),
        (b'{"error":"Forbidden"}', "Forbidden"),
        (b"<html>no</html>", ""),
        (b"", ""),
        (b"[]", ""),
        (b'{"message":{"deep":1}}', ""),
        (b'{"message":"a\\nb\\u0000c"}', "a b c"),
    ],
)
def test_the_four_shapes_of_error_bodies_are_understood(body: bytes, words: str) -> None:
    assert said(body) == words


@pytest.mark.parametrize(
    ("status", "body", "names"),
    [
        (401, b'{"message":"Session not found"}', "AVB_SANITY_TOKEN"),
        (401, b'{"errorCode":"SIO-401-ANF","error":"Unauthorized","message":"no"}', "AVB_SANITY_TOKEN"),
        (401, b'{"message":"Session does not match project host"}', "AVB_SANITY_PROJECT_ID"),
        (403, b"{}", "read access"),
        (404, b'{"message":"Dataset not found"}', "AVB_SANITY_DATASET"),
        (400, b'{"error":{"description":"bad query"}}', "bad query"),
        (302, b"", "AVB_SANITY_BASE_URL"),
    ],
)
def test_a_refusal_names_the_setting_to_look_at_and_is_not_tried_again(status: int, body: bytes, names: str) -> None:
    failed = failure(status, body)
    assert (failed.kind, failed.may_retry) == (Kind.REFUSED, False)
    assert isinstance(failed.error, BadProviderAnswer)
    assert names in failed.error.message
    assert DATASET.token not in failed.error.message


@pytest.mark.parametrize(("status", "may_retry"), [(500, True), (502, True), (503, True), (504, True), (501, False)])
def test_a_server_error_is_unavailable(status: int, may_retry: bool) -> None:
    failed = failure(status, b"<html>", {"content-type": "text/html"})
    assert (failed.kind, failed.may_retry) == (Kind.SERVER_ERROR, may_retry)
    assert isinstance(failed.error, ProviderUnavailable)


def test_429_is_its_own_kind_and_carries_what_was_asked() -> None:
    failed = failure(429, b'{"message":"API rate limit exceeded"}', JSON | {"Retry-After": "2"})
    assert (failed.kind, failed.may_retry, failed.retry_after_s) == (Kind.LIMITED, True, 2.0)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("3", 3.0),
        (" 0.5 ", 0.5),
        ("Mon, 24 Nov 2025 10:00:07 GMT", 7.0),
        ("Mon, 24 Nov 2025 09:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("١٢", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, wall_s=WALL_S) == seconds


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html>hello</html>", "text/html"),
        (b'{"result":[]}', "text/plain"),
        (b'{"result":[]}', ""),
        (b'{"result":[{"tracking', "application/json"),
        (b"", "application/json"),
        (b"null", "application/json"),
        (b"[]", "application/json"),
        (b'{"ms":1}', "application/json"),
        (b'\xef\xbb\xbf{"result":[]}', "application/json"),
        (b'{"result":NaN}', "application/json"),
        (b'{"result":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "application/json"),
        (b"\xff\xfe", "application/json"),
    ],
)
def test_nonsense_with_status_200_is_a_bad_answer(body: bytes, content_type: str) -> None:
    failed = failure(200, body, {"content-type": content_type})
    assert (failed.kind, failed.may_retry) == (Kind.GARBAGE, False)
    assert isinstance(failed.error, BadProviderAnswer)
