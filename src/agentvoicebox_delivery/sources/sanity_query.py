"""Which dataset is asked, and what: the words of a question to Sanity's HTTP query API (vapi-and-sanity §7).

Decides the GROQ, how it is written into a request, and which settings can't be meant. Values only ever travel as parameters,
never inside the query. Sending, waiting and trying again are `sanity`'s.
"""

import re
from collections.abc import Mapping, Sequence

import httpx
import msgspec

from agentvoicebox.errors import SettingsError

API_VERSION = "2025-02-19"  # the first whose default perspective is `published`
LONGEST_URL = 11_264  # characters; above it Sanity's own clients turn to POST
MOST_DOCUMENTS = (
    64  # of one answer: 16 candidates, each up to four times; that many back means that some may be missing
)

# `trackingIdNorm` is what an import should store; `trackingId` is what an editor typed, which may already be compact.
FIND = (
    '*[_type == "shipment" && (trackingIdNorm in $ids || trackingId in $ids)] | order(_id asc) '
    f"[0...{MOST_DOCUMENTS}]"
    '{_id, _updatedAt, trackingId, trackingIdNorm, status, eta, "carrier": carrier->name, '
    '"last": events | order(at desc)[0]{status, at, location}}'
)
COUNT = 'count(*[_type == "shipment"])'

_PROJECT_ID = re.compile(r"[a-z0-9][a-z0-9-]*")
_DATASET = re.compile(r"[a-z0-9~][a-z0-9_~-]*")
_API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}")


class SanityDataset(msgspec.Struct, frozen=True):
    """Where the shipments are.

    Attributes:
        project_id: of Sanity; may be empty when `base_url` is given.
        dataset: its name in the project.
        token: with read access; empty asks as anybody does, who sees nothing of a private dataset.
        api_version: a date, `YYYY-MM-DD`.
        base_url: instead of Sanity's own host, for the local server; empty: Sanity's, without its CDN (a status must be new).
    """

    project_id: str = ""
    dataset: str = "production"
    token: str = ""
    api_version: str = API_VERSION
    base_url: str = ""

    def __post_init__(self) -> None:
        """Raises SettingsError naming each part that can't be meant."""
        faults = []
        if not self.base_url and not _PROJECT_ID.fullmatch(self.project_id):
            faults.append("AVB_SANITY_PROJECT_ID: small letters, digits and hyphens, as on sanity.io/manage")
        if self.base_url and not self.base_url.startswith(("http://", "https://")):
            faults.append("AVB_SANITY_BASE_URL: should start with http:// or https://")
        if not _DATASET.fullmatch(self.dataset):
            faults.append("AVB_SANITY_DATASET: small letters, digits, hyphens and underscores")
        if not _API_VERSION.fullmatch(self.api_version):
            faults.append("AVB_SANITY_API_VERSION: a date like 2025-02-19")
        if not (self.token.isascii() and self.token.isprintable()) or " " in self.token:
            faults.append("AVB_SANITY_TOKEN: holds a character that no token has; was it copied whole?")
        if faults:
            raise SettingsError("these settings need mending:\n  " + "\n  ".join(faults))

    def __repr__(self) -> str:
        return f"SanityDataset({self.place!r})"

    @property
    def place(self) -> str:
        """Project and dataset, for people."""
        return f"{self.project_id or self.base_url}/{self.dataset}"

    @property
    def url(self) -> str:
        """Of the query endpoint."""
        host = self.base_url.rstrip("/") or f"https://{self.project_id}.api.sanity.io"
        return f"{host}/v{self.api_version}/data/query/{self.dataset}"

    @property
    def headers(self) -> dict[str, str]:
        """Sent with each request. Answers are a few kB, so compressing them would only cost time and open a way to bomb us."""
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        return headers | ({"Authorization": f"Bearer {self.token}"} if self.token else {})


class Question(msgspec.Struct, frozen=True):
    """A GROQ query with the values it names."""

    query: str
    parameters: Mapping[str, object] = {}

    def request(self, dataset: SanityDataset, *, longest_url: int = LONGEST_URL) -> httpx.Request:
        """As GET, or as POST when the address would be longer than `longest_url` characters."""
        options = {"perspective": "published", "returnQuery": "false"}
        values = {f"${name}": msgspec.json.encode(value).decode() for name, value in self.parameters.items()}
        url = httpx.URL(dataset.url, params={"query": self.query, **values, **options})
        if len(str(url)) <= longest_url:
            return httpx.Request("GET", url, headers=dataset.headers)
        body = {"query": self.query, "params": dict(self.parameters)}
        return httpx.Request(
            "POST",
            httpx.URL(dataset.url, params=options),
            content=msgspec.json.encode(body),
            headers=dataset.headers | {"Content-Type": "application/json"},
        )


def shipments_of(tracking_ids: Sequence[str]) -> Question:
    """Asks for every document of these normalised ids."""
    return Question(FIND, {"ids": list(tracking_ids)})


def how_many() -> Question:
    """Asks for the number of shipments that we may see."""
    return Question(COUNT)
