"""`python -m tests.kit.sbom` (`make sbom`): the bill of materials of a deployment, CycloneDX 1.6 JSON.

With `--pins FILE`, that of an image: the packages of this file, and the models that they bring. Else it lists the pinned Python
packages of `requirements/run.txt` with the hashes that the installer accepts, the files of all known models, and the npm packages
of the local Sanity server. Licences of Python packages are read from those that are installed here. The same inputs give the same
bytes: it holds no time.
"""

import argparse
import base64
import importlib.metadata
import json
import re
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from agentvoicebox import __version__
from agentvoicebox.providers.models import MODELS, Model

ROOT = Path(__file__).parents[2]
PINS = ROOT / "requirements" / "run.txt"
NPM_LOCK = ROOT / "deploy" / "sanity-local" / "package-lock.json"
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/agentvoicebox")
LONGEST_LICENCE = 80  # characters; some packages put the whole text into the field
HASH_NAMES = {"sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}

Component = dict[str, Any]

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)(?: ; ([^\\]+?))? ?\\?$")
_HASH = re.compile(r"--hash=(sha256|sha384|sha512):([0-9a-f]+)")


def bill_of_materials(pins: Path | None = None) -> dict[str, Any]:
    """The document; `pins` are those of an image, which has no npm packages."""
    components = [*python_packages((pins or PINS).read_text())]
    names = {each["name"] for each in components} if pins else None
    components += [_model(model) for model in MODELS if names is None or names >= _packages(model)]
    components += [] if pins else npm_packages(NPM_LOCK.read_text())
    serial = uuid.uuid5(NAMESPACE, json.dumps(components, sort_keys=True))
    this = {
        "type": "application",
        "bom-ref": "agentvoicebox",
        "name": "agentvoicebox",
        "version": __version__,
        "licenses": [{"license": {"id": "Apache-2.0"}}],
        "purl": f"pkg:pypi/agentvoicebox@{__version__}",
    }
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": this},
        "components": components,
    }


def python_packages(pins: str) -> Iterator[Component]:
    """The packages of a file of hashed pins. Its hashes are those of all files of a version; one of them is installed.

    Raises:
        ValueError: a package without a hash.
    """
    for block in re.split(r"\n(?=[A-Za-z0-9])", pins):
        pin = _PIN.match(block.partition("\n")[0].rstrip())
        if pin is None:
            continue
        name, version, marker = pin[1].lower(), pin[2], pin[3]
        hashes = [{"alg": HASH_NAMES[kind], "content": digest} for kind, digest in _HASH.findall(block)]
        if not hashes:
            raise ValueError(f"{name} is pinned without a hash")
        purl = f"pkg:pypi/{name}@{version}"
        component: Component = {"type": "library", "bom-ref": purl, "name": name, "version": version, "hashes": hashes}
        component |= {"licenses": found} if (found := _licences(name, version)) else {}
        component["purl"] = purl
        if marker:
            component["properties"] = [{"name": "agentvoicebox:marker", "value": marker}]
        yield component


def npm_packages(lock: str) -> Iterator[Component]:
    """The packages of a `package-lock.json`."""
    for place, package in json.loads(lock)["packages"].items():
        if not place:
            continue  # the project itself
        name, version = place.rpartition("node_modules/")[2], package["version"]
        kind, _, digest = package["integrity"].partition("-")
        purl = f"pkg:npm/{quote(name, safe='/')}@{version}"
        yield {
            "type": "library",
            "bom-ref": f"{purl}#{place}",
            "name": name,
            "version": version,
            "hashes": [{"alg": HASH_NAMES[kind], "content": base64.b64decode(digest).hex()}],
            "licenses": [{"license": {"name": package["license"]}}] if "license" in package else [],
            "purl": purl,
        }


def _model(model: Model) -> Component:
    files: list[Component] = [
        {
            "type": "file",
            "bom-ref": f"model:{model.name}/{file.name}",
            "name": file.name,
            "hashes": [{"alg": "SHA-256", "content": file.sha256}],
        }
        for file in model.files
    ]
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{model.name}",
        "name": model.name,
        "licenses": [{"license": {"name": model.licence}}],
        "components": files,
        "properties": [{"name": "agentvoicebox:package", "value": each} for each in _sources(model)],
    }


def _packages(model: Model) -> set[str]:
    """The Python packages that bring a model; of a model from npm alone a name that no pin has."""
    return {each.partition("==")[0].lower() for each in model.requirements} or {f"npm:{model.npm_package}"}


def _sources(model: Model) -> tuple[str, ...]:
    return (*model.requirements, *([model.npm_package] if model.npm_package else []))


def _licences(name: str, version: str) -> list[dict[str, Any]]:
    """What the installed package says of its licence; nothing when it, or this version, is not installed."""
    try:
        package = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return []
    if package.version != version:
        return []
    if expressions := package.metadata.get_all("License-Expression"):
        return [{"expression": expressions[0]}]
    classes = package.metadata.get_all("Classifier") or []
    names = [each.rpartition(" :: ")[2] for each in classes if each.startswith("License :: OSI Approved :: ")]
    text = (package.metadata.get_all("License") or [""])[0].strip()
    if not names and text and len(text) <= LONGEST_LICENCE and "\n" not in text:
        names = [text]
    return [{"license": {"name": each}} for each in dict.fromkeys(names)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The bill of materials, CycloneDX 1.6 JSON, to standard output.")
    parser.add_argument("--pins", type=Path, help="file of the pins of an image; by default the whole deployment's")
    json.dump(bill_of_materials(parser.parse_args().pins), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")
