"""The internal ports of processes, found as Prometheus finds them: by the files that the processes write."""

import json
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families


class ProcessPages:
    """Args: the folder with the processes' files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def listed(self) -> dict[str, list[str]]:
        """The addresses by name of the process."""
        found: dict[str, list[str]] = {}
        for path in sorted(self._folder.glob("*.json")):
            try:
                (group,) = json.loads(path.read_text())
            except FileNotFoundError:
                continue  # it ended while we looked
            found.setdefault(group["labels"]["process"], []).extend(group["targets"])
        return found

    def address(self, process: str) -> str:
        """Of the one process of this name."""
        (address,) = self.listed()[process]
        return address

    async def get(self, address: str, path: str, accept: str = "") -> httpx.Response:
        """One answer."""
        async with httpx.AsyncClient(timeout=30.0) as http:
            return await http.get(f"http://{address}{path}", headers={"accept": accept})

    async def readiness(self, process: str) -> tuple[int, dict[str, Any]]:
        """The status and the body of `/readyz`."""
        answer = await self.get(self.address(process), "/readyz")
        return answer.status_code, answer.json()

    async def values(self, process: str) -> dict[str, float]:
        """All samples of a page: `name{label="value",…}`, labels in order, and their value."""
        answer = await self.get(self.address(process), "/metrics")
        return {
            _written(sample.name, sample.labels): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }


def _written(name: str, labels: dict[str, str]) -> str:
    inside = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"{name}{{{inside}}}" if inside else name
