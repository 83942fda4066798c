"""Data stores: the servers, and the folder on this machine."""

from pydantic import BaseModel, Field, field_validator

from agentvoicebox.settings.values import with_scheme

REDIS_SCHEMES = ("redis://", "rediss://", "unix://", "redis+cluster://", "rediss+cluster://")
POSTGRES_SCHEMES = ("postgresql://", "postgres://")


class StoreSettings(BaseModel):
    """Data stores: the servers, and the folder on this machine.

    Attributes:
        redis_url: address of Valkey, or of Redis 7.2 or later: `redis://…`, `rediss://…`, `unix://…`; a cluster:
            `redis+cluster://host:port,host:port`, `rediss+cluster://…`. Empty: an embedded server.
        postgres_url: address of PostgreSQL 15 or later (`postgresql://…`). Empty: an embedded server.
        store_rewrite_minutes: minimum minutes between two rewrites of the store's append-only file, which remove the words of
            ended calls from its disk. 0: no rewrites are requested.
        store_memory_mb: `maxmemory` of the embedded store, in MB; a call takes about 2. At 75 % new calls are refused.
        data_dir: folder of the embedded servers, recordings and caches.
    """

    redis_url: str = Field(default="", repr=False)  # may contain a password
    postgres_url: str = Field(default="", repr=False)
    store_rewrite_minutes: float = Field(default=30, ge=0, le=1_440)
    store_memory_mb: int = Field(default=512, ge=64, le=1_048_576)
    data_dir: str = Field(default="var", min_length=1)

    @field_validator("redis_url")
    @classmethod
    def _redis_url_has_a_known_scheme(cls, value: str) -> str:
        return with_scheme(value, REDIS_SCHEMES)

    @field_validator("postgres_url")
    @classmethod
    def _postgres_url_has_a_known_scheme(cls, value: str) -> str:
        return with_scheme(value, POSTGRES_SCHEMES)
