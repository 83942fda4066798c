"""Data stores: the servers, and the folder on this machine."""

from pydantic import BaseModel, Field, field_validator

from agentvoicebox.settings.values import with_scheme

REDIS_SCHEMES = ("redis://", "rediss://", "unix://", "redis+cluster://", "rediss+cluster://")
POSTGRES_SCHEMES = ("postgresql://", "postgres://")


class StoreSettings(BaseModel):
    """Data stores: the servers, and the folder on this machine.

    Attributes:
        redis_url: Valkey, or Redis 7.2 or later (`redis://…`, `rediss://…`, `unix://…`; a cluster: `redis+cluster://host:port,host:port`,
            `rediss+cluster://…`); empty: an embedded server.
        postgres_url: PostgreSQL 15 or later (`postgresql://…`); empty: an embedded server.
        store_rewrite_minutes: least minutes between two rewrites of the store's append-only file, which take words of ended calls
            off its disk; 0: none is asked for.
        data_dir: folder of embedded servers, recordings and caches.
    """

    redis_url: str = Field(default="", repr=False)  # may contain a password
    postgres_url: str = Field(default="", repr=False)
    store_rewrite_minutes: float = Field(default=30, ge=0, le=1_440)
    data_dir: str = Field(default="var", min_length=1)

    @field_validator("redis_url")
    @classmethod
    def _redis_url_has_a_known_scheme(cls, value: str) -> str:
        return with_scheme(value, REDIS_SCHEMES)

    @field_validator("postgres_url")
    @classmethod
    def _postgres_url_has_a_known_scheme(cls, value: str) -> str:
        return with_scheme(value, POSTGRES_SCHEMES)
