"""Records that are sealed tell nothing, open with any key that is still there, and only in their own place."""

import base64
import os

import msgspec
import pytest

from agentvoicebox.errors import SettingsError
from agentvoicebox.settings import Settings
from agentvoicebox.storage.vault import HistorySealed, NoHistoryKey, Vault

OLD, NEW = os.urandom(32), os.urandom(32)
PLACE = ("acme", "sess_1", "item_1")
BODY: dict[str, object] = {"item": {"text": "parcel AB123456"}, "sent_ms": 5}


def test_a_sealed_record_tells_nothing_and_opens_as_it_was() -> None:
    vault = Vault([NEW])
    sealed = vault.seal(PLACE, BODY)
    assert set(sealed) == {"sealed"} and b"AB123456" not in msgspec.json.encode(sealed)
    assert base64.b64decode(sealed["sealed"]["data"]).find(b"AB123456") == -1  # type: ignore[index]
    assert vault.open(PLACE, sealed) == BODY
    assert vault.seal(PLACE, BODY) != sealed


def test_a_new_key_in_front_leaves_what_the_old_one_sealed_readable() -> None:
    sealed = Vault([OLD]).seal(PLACE, BODY)
    both = Vault([NEW, OLD])
    assert both.open(PLACE, sealed) == BODY
    assert Vault([NEW]).open(PLACE, both.seal(PLACE, BODY)) == BODY
    with pytest.raises(HistorySealed):
        Vault([NEW]).open(PLACE, sealed)


@pytest.mark.parametrize(
    "place", [("umbra", "sess_1", "item_1"), ("acme", "sess_2", "item_1"), ("acme", "sess_1", "item_2")]
)
def test_a_sealed_record_opens_in_no_other_place(place: tuple[str, str, str]) -> None:
    vault = Vault([NEW])
    with pytest.raises(HistorySealed):
        vault.open(place, vault.seal(PLACE, BODY))


def test_without_a_key_nothing_is_sealed_and_what_is_plain_stays_plain() -> None:
    with pytest.raises(NoHistoryKey):
        Vault().seal(PLACE, BODY)
    assert Vault().open(PLACE, BODY) == BODY


def test_no_server_starts_that_is_to_encrypt_without_a_key_or_with_a_broken_one() -> None:
    with pytest.raises(SettingsError, match=r"AVB_HISTORY_KEYS.*needs a key"):
        Settings.load(history_words="encrypt")
    with pytest.raises(SettingsError, match="AVB_HISTORY_KEYS: key 2 is not 32 bytes"):
        Settings.load(history_keys=f"{base64.b64encode(OLD).decode()}, c2hvcnQ=")
    keys = ",".join(base64.b64encode(key).decode() for key in (NEW, OLD))
    settings = Settings.load(history_words="encrypt", history_keys=keys)
    assert settings.history_key_list == (NEW, OLD) and keys not in repr(settings)
