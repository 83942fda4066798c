"""Carriers' shapes and check digits against public vectors."""

import pytest

from agentvoicebox_delivery.numbers.carriers import is_unfinished, matches

pytestmark = pytest.mark.requirement("B1.2")

VALID = {
    "1Z999AA10123456784": "UPS", "1Z5R89390357567127": "UPS", "1Z8V92A70367203024": "UPS", "K1506235620": "UPS",
    "986578788855": "FedEx", "799531274483": "FedEx", "123456789012": "FedEx", "041441760228964": "FedEx",
    "568283610012000": "FedEx", "9611020987654312345672": "FedEx", "9400111206206406260787": "USPS",
    "9505511069605048600624": "USPS", "03071790000523483741": "USPS", "3318810025": "DHL", "8487135506": "DHL",
    "RB123456785GB": "the post", "EE876543216US": "the post",
}  # fmt: skip
INVALID = (
    "1Z999AA10123456785", "1Z12345E0205271688", "K1506235622", "996578788855", "568283610012732", "123456789012345",
    "9600000000000000000001", "9400100000000000000000", "1234567890", "RB123456786US",
)  # fmt: skip
WITHOUT_CHECK_DIGIT = {"JJD0099999999": "DHL", "GM2951173225174494": "DHL", "TBA502887274000": "Amazon"}


@pytest.mark.parametrize(("tracking_id", "carrier"), VALID.items())
def test_a_valid_number_is_its_carriers_and_its_check_digit_fits(tracking_id: str, carrier: str) -> None:
    assert (matches(tracking_id)[0].carrier, matches(tracking_id)[0].check_digit_ok) == (carrier, True)


@pytest.mark.parametrize("tracking_id", INVALID)
def test_a_wrong_check_digit_is_noticed_and_the_shape_still_known(tracking_id: str) -> None:
    found = matches(tracking_id)
    assert found and all(match.check_digit_ok is False for match in found)


@pytest.mark.parametrize(("tracking_id", "carrier"), WITHOUT_CHECK_DIGIT.items())
def test_a_shape_without_a_check_digit_says_so(tracking_id: str, carrier: str) -> None:
    assert (matches(tracking_id)[0].carrier, matches(tracking_id)[0].check_digit_ok) == (carrier, None)


def test_a_made_up_prefix_is_nobodys() -> None:
    assert matches("TBB000000000000") == []


@pytest.mark.parametrize("part", ["1Z999AA1", "1Z999AA1012345678", "TBA50288", "94001112"])
def test_the_beginning_of_a_number_of_known_length_is_unfinished(part: str) -> None:
    assert is_unfinished(part)


@pytest.mark.parametrize("whole", ["1Z999AA10123456784", "PKG004", "3318810025", "123456"])
def test_a_whole_number_is_not_unfinished(whole: str) -> None:
    assert not is_unfinished(whole)
