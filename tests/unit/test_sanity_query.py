"""The words of a question: values as parameters only, long ones by POST, settings that can't be meant refused at once."""

import httpx
import msgspec
import pytest
from tests.kit.sanity import DATASET

from agentvoicebox.errors import SettingsError
from agentvoicebox_delivery.sources.sanity_query import COUNT, SanityDataset, how_many, shipments_of

INJECTION = '"] | *[_type == "secret"]{...} //'


def test_a_question_is_a_get_that_names_perspective_token_and_version() -> None:
    request = shipments_of(["PKG001"]).request(DATASET)
    assert request.method == "GET"
    assert request.url.host == "abc123.api.sanity.io"  # never the CDN, which may be minutes behind
    assert request.url.path == "/v2025-02-19/data/query/production"
    assert request.url.params["perspective"] == "published"
    assert request.headers["authorization"] == "Bearer sk-test-token"


@pytest.mark.parametrize("tracking_id", ["1Z+999", "ÄÖ 1", INJECTION, "a&b=c", "#", "%27", "\u2028"])
def test_values_travel_as_json_parameters_and_never_in_the_query(tracking_id: str) -> None:
    request = shipments_of([tracking_id]).request(DATASET)
    assert msgspec.json.decode(request.url.params["$ids"]) == [tracking_id]
    assert request.url.params["query"] == shipments_of([]).query
    assert "+999" not in str(request.url)  # a bare plus would arrive as a space


def test_a_long_question_is_a_post_with_its_options_in_the_address() -> None:
    request = shipments_of(["X" * 32] * 500).request(DATASET)
    assert request.method == "POST"
    assert len(str(request.url)) < 300
    assert dict(request.url.params) == {"perspective": "published", "returnQuery": "false"}
    assert msgspec.json.decode(request.content)["params"] == {"ids": ["X" * 32] * 500}
    assert request.headers["content-type"] == "application/json"


def test_sixteen_of_the_longest_ids_still_fit_a_get() -> None:
    assert shipments_of(["X" * 32] * 16).request(DATASET).method == "GET"


def test_a_base_url_stands_in_for_sanitys_own_host() -> None:
    dataset = SanityDataset(base_url="http://127.0.0.1:3333/")
    assert str(how_many().request(dataset).url.copy_with(query=None)) == (
        "http://127.0.0.1:3333/v2025-02-19/data/query/production"
    )
    assert "authorization" not in how_many().request(dataset).headers


def test_the_count_is_of_shipments() -> None:
    assert httpx.URL(how_many().request(DATASET).url).params["query"] == COUNT == 'count(*[_type == "shipment"])'


def test_settings_that_cannot_be_meant_are_named_all_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        SanityDataset("Not An Id", "a/b", "two words", "v1")
    for name in ("PROJECT_ID", "DATASET", "TOKEN", "API_VERSION"):
        assert f"AVB_SANITY_{name}" in error.value.message
    with pytest.raises(SettingsError, match="AVB_SANITY_BASE_URL"):
        SanityDataset(base_url="localhost:3333")


def test_the_token_is_in_no_text_about_the_dataset() -> None:
    assert "sk-test-token" not in repr(DATASET) + str(DATASET) + DATASET.place
