"""Bodies of the administration's requests and answers; the OpenAPI document is generated from them.

Times are seconds since 1970-01-01 UTC. Unknown fields are refused, so that a misspelt one is not silently ignored.
"""

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt

from agentvoicebox.storage.audit import AuditEntry
from agentvoicebox.storage.rules import Words
from agentvoicebox.tenancy.api_keys import GRACE_S, ListedKey, TenantLimits
from agentvoicebox.tenancy.key_format import key_id
from agentvoicebox.tenancy.principal import DEFAULT_RIGHTS, Right
from agentvoicebox.tenancy.tenants import Project, Tenant

ID_PATTERN = "^[a-z0-9][a-z0-9-]{0,62}$"  # tenancy.principal.TENANT_ID
MAX_NAME_LENGTH = 200
MAX_LIFETIME_S = 10 * 366 * 86_400
MAX_GRACE_S = 30 * 86_400

Name = Annotated[
    str, Field(max_length=MAX_NAME_LENGTH, pattern=r"^[^\x00-\x1f\x7f]*$", description="A note for people.")
]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LimitsBody(_Asked):
    """A tenant's own limits; null or absent means the deployment's."""

    requests: StrictInt | None = Field(default=None, ge=0, le=10**12, description="Requests within a window.")
    tokens: StrictInt | None = Field(default=None, ge=0, le=10**12, description="Tokens of responses within a window.")
    window_s: Annotated[StrictInt, Field(ge=1, le=3600)] | Annotated[StrictFloat, Field(ge=1, le=3600)] | None = Field(
        default=None, description="The window's length."
    )
    sessions: StrictInt | None = Field(default=None, ge=0, le=10**9, description="Sessions open at a time.")


class HistoryBody(_Asked):
    """What becomes of a tenant's records from now on; null or absent means the deployment's rule."""

    days: StrictInt | None = Field(default=None, ge=1, le=3_650, description="How long sessions and items are kept.")
    audit_days: StrictInt | None = Field(
        default=None, ge=1, le=3_650, description="How long the audit log and usage are."
    )
    words: Words | None = Field(default=None, description="What becomes of people's words before they are stored.")
    audio: StrictBool | None = Field(
        default=None, description="Whether the audio of calls is stored, in clear or encrypted as `words`."
    )


class NewTenant(_Asked):
    """A tenant to create."""

    id: str = Field(pattern=ID_PATTERN, description="Can't be changed; lower-case letters, digits and '-'.")
    name: Name = ""


class TenantChange(_Asked):
    """Changes; absent fields stay as they are."""

    name: Name | None = None
    limits: LimitsBody | None = Field(default=None, description="Replaces all former ones.")
    history: HistoryBody | None = Field(default=None, description="Replaces all former ones.")


class NewKeyBody(_Asked):
    """A key to create."""

    name: Name = ""
    project_id: str | None = Field(default=None, pattern=ID_PATTERN)
    scopes: list[Right] = Field(default=list(DEFAULT_RIGHTS), min_length=1, max_length=8, description="What it may do.")
    expires_after_s: StrictInt | None = Field(default=None, ge=1, le=MAX_LIFETIME_S, description="Null: never.")


class Rotation(_Asked):
    """How a key is replaced."""

    grace_s: StrictInt = Field(
        default=int(GRACE_S), ge=0, le=MAX_GRACE_S, description="How long the old key stays valid."
    )


class TenantBody(BaseModel):
    """A tenant."""

    object: Literal["tenant"] = "tenant"
    id: str
    name: str
    limits: LimitsBody
    history: HistoryBody
    created_at: int
    suspended_at: int | None

    @classmethod
    def of(cls, tenant: Tenant) -> "TenantBody":
        """From the stored form."""
        own: TenantLimits = tenant.limits
        limits = LimitsBody(requests=own.requests, tokens=own.tokens, window_s=own.window_s, sessions=own.sessions)
        kept = tenant.history
        return cls(
            id=tenant.tenant_id,
            name=tenant.name,
            limits=limits,
            history=HistoryBody(days=kept.days, audit_days=kept.audit_days, words=kept.words, audio=kept.audio),
            created_at=int(tenant.created_at.timestamp()),
            suspended_at=_seconds(tenant.suspended_at),
        )


class ProjectBody(BaseModel):
    """A project."""

    object: Literal["project"] = "project"
    id: str
    created_at: int

    @classmethod
    def of(cls, project: Project) -> "ProjectBody":
        """From the stored form."""
        return cls(id=project.project_id, created_at=int(project.created_at.timestamp()))


class KeyBody(BaseModel):
    """An API key without its secret."""

    object: Literal["api_key"] = "api_key"
    id: str
    name: str
    project_id: str | None
    scopes: list[Right]
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    rotated_to: str | None = Field(description="The key that replaced it.")
    hash: Literal["blake2b", "argon2id"] = Field(
        description="How its secret is stored: `argon2id` by an earlier version, until the key is used again."
    )

    @classmethod
    def of(cls, key: ListedKey) -> "KeyBody":
        """From the stored form."""
        return cls(
            id=key_id(key.prefix),
            name=key.name,
            project_id=key.project_id,
            scopes=list(key.scopes),
            created_at=int(key.created_at.timestamp()),
            expires_at=_seconds(key.expires_at),
            revoked_at=_seconds(key.revoked_at),
            rotated_to=None if key.rotated_to is None else key_id(key.rotated_to),
            hash="argon2id" if key.is_slow else "blake2b",
        )


class ShownKey(KeyBody):
    """A new API key, with its secret, which is shown only now."""

    key: str = Field(description="The whole key. Only its hash is stored; it is never shown again.")


class AuditBody(BaseModel):
    """An entry of the audit log."""

    object: Literal["audit_entry"] = "audit_entry"
    id: str
    at: float
    actor: str = Field(description="A key's id, `cli`, or a role of the server.")
    action: str
    subject: str
    details: dict[str, Any]

    @classmethod
    def of(cls, entry: AuditEntry) -> "AuditBody":
        """From the stored form."""
        at = round(entry.at_s, 3)
        about = {"action": entry.action, "subject": entry.subject, "details": entry.body}
        return cls.model_validate({"id": entry.audit_id, "at": at, "actor": entry.actor, **about})


Each = TypeVar("Each", TenantBody, ProjectBody, KeyBody, AuditBody)


class Listed(BaseModel, Generic[Each]):
    """A page."""

    object: Literal["list"] = "list"
    data: list[Each]
    first_id: str | None
    last_id: str | None = Field(description="For `after`, to get the next page.")
    has_more: bool


def _seconds(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())
