"""The dataset and the queries of Sanity's HTTP query API (vapi-and-sanity §7).

Defines the GROQ and the form of requests, and validates the settings. Values are sent only as parameters, never inside the query.
`sanity` sends the requests.
"""

import re
from collections.abc import Collection, Mapping, Sequence

import httpx
import msgspec

from agentvoicebox.errors import SettingsError

API_VERSION = "2025-02-19"  # the first whose default perspective is `published`
LONGEST_URL = 11_264  # characters; for longer ones Sanity's own clients use POST
MOST_DOCUMENTS = 64  # of one answer: 16 candidates, up to four documents each; an answer of this size may be incomplete

# An import should store `trackingIdNorm`; `trackingId` is the editor's text, which may already be compact.
_NAMED = '_type == "shipment" && (trackingIdNorm in $ids || trackingId in $ids)'
FIND = (
    f"*[{_NAMED}] | order(_id asc) "
    f"[0...{MOST_DOCUMENTS}]"
    '{_id, _updatedAt, trackingId, trackingIdNorm, status, eta, "carrier": carrier->name, '
    '"last": events | order(at desc)[0]{status, at, location}}'
)
MOST_NEAR = 200  # numbers in each of the two lists of an answer
MOST_BEGINNINGS = 8  # a range of numbers each
# GROQ has no function for the last digits of a number, so an import may store the last four (letters left out) as a field.
_NEAR = (
    '{{"named": *[' + _NAMED + "][0...{most}]{{_id, trackingId, trackingIdNorm}}, "
    '"alike": *[_type == "shipment" && ({alike})][0...{most}]{{_id, trackingId, trackingIdNorm}}}}'
)
COUNT = 'count(*[_type == "shipment"])'

_PROJECT_ID = re.compile(r"[a-z0-9][a-z0-9-]*")
_DATASET = re.compile(r"[a-z0-9~][a-z0-9_~-]*")
_API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}")


class SanityDataset(msgspec.Struct, frozen=True):
    """The dataset of the shipments.

    Attributes:
        project_id: project on Sanity; may be empty if `base_url` is given.
        dataset: its name in the project.
        token: a token with read access; without one, a private dataset looks empty.
        api_version: a date, `YYYY-MM-DD`.
        base_url: replaces Sanity's host, for the local server; empty: Sanity's API without its CDN (a status must be current).
    """

    project_id: str = ""
    dataset: str = "production"
    token: str = ""
    api_version: str = API_VERSION
    base_url: str = ""

    def __post_init__(self) -> None:
        """Raises SettingsError that lists each invalid part."""
        faults = []
        if not self.base_url and not _PROJECT_ID.fullmatch(self.project_id):
            faults.append("AVB_SANITY_PROJECT_ID: lower-case letters, digits and hyphens, as on sanity.io/manage")
        if self.base_url and not self.base_url.startswith(("http://", "https://")):
            faults.append("AVB_SANITY_BASE_URL: should start with http:// or https://")
        if not _DATASET.fullmatch(self.dataset):
            faults.append("AVB_SANITY_DATASET: lower-case letters, digits, hyphens and underscores")
        if not _API_VERSION.fullmatch(self.api_version):
            faults.append("AVB_SANITY_API_VERSION: a date like 2025-02-19")
        if not (self.token.isascii() and self.token.isprintable()) or " " in self.token:
            faults.append("AVB_SANITY_TOKEN: contains a character that tokens do not have; is the copy complete?")
        if faults:
            raise SettingsError("invalid settings:\n  " + "\n  ".join(faults))

    def __repr__(self) -> str:
        return f"SanityDataset({self.place!r})"

    @property
    def place(self) -> str:
        """Project and dataset, for messages."""
        return f"{self.project_id or self.base_url}/{self.dataset}"

    @property
    def url(self) -> str:
        """Address of the query endpoint."""
        host = self.base_url.rstrip("/") or f"https://{self.project_id}.api.sanity.io"
        return f"{host}/v{self.api_version}/data/query/{self.dataset}"

    @property
    def headers(self) -> dict[str, str]:
        """Headers of each request. Compression is disabled: answers are small, and a decompression bomb is impossible."""
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        return headers | ({"Authorization": f"Bearer {self.token}"} if self.token else {})


class Question(msgspec.Struct, frozen=True):
    """A GROQ query with its parameters."""

    query: str
    parameters: Mapping[str, object] = {}

    def request(self, dataset: SanityDataset, *, longest_url: int = LONGEST_URL) -> httpx.Request:
        """A GET request, or a POST request if the URL would be longer than `longest_url` characters."""
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
    """The query for all documents of these normalised ids."""
    return Question(FIND, {"ids": list(tracking_ids)})


def numbers_near(beginnings: Sequence[str], endings: Sequence[str], ids: Collection[str]) -> Question:
    """The query for the numbers of these ids, and for some that begin or end alike. Only the first 8 beginnings count."""
    parameters: dict[str, object] = {"ids": sorted(ids), "endings": list(endings)}
    alike = ["trackingIdEnding in $endings"]
    for index, beginning in enumerate(beginnings[:MOST_BEGINNINGS]):
        parameters |= {f"from{index}": beginning, f"to{index}": f"{beginning}~"}  # ~ is above every letter and digit
        alike.append(f"(trackingIdNorm >= $from{index} && trackingIdNorm < $to{index})")
    return Question(_NEAR.format(most=MOST_NEAR, alike=" || ".join(alike)), parameters)


def how_many() -> Question:
    """The query for the number of readable shipments."""
    return Question(COUNT)
