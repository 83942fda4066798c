"""Events for other systems: how long they are tried and kept, and where they may go."""

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from agentvoicebox.settings.values import comma_list, networks


class EventSettings(BaseModel):
    """Events for other systems. Destinations are added with `agentvoicebox events add`, by tenant.

    Attributes:
        events_retry_hours: hours for which an event that its receiver does not take is tried again; then it is a dead letter.
        events_days: days for which events can be sent again (`agentvoicebox events replay`); fewer where sessions are kept for
            less.
        events_private_networks: comma-separated private networks (`10.1.0.0/16`) in which webhooks may be, by https.
        events_kafka: comma-separated brokers of a Kafka cluster, `host:9092`, for destinations that are topics. Empty: none.
            Needs `pip install 'agentvoicebox[kafka]'`.
    """

    events_retry_hours: float = Field(default=24, gt=0, le=168)
    events_days: int = Field(default=7, ge=1, le=90, validate_default=True)
    events_private_networks: str = ""
    events_kafka: str = ""

    @field_validator("events_days")
    @classmethod
    def _events_outlive_their_retries(cls, value: int, info: ValidationInfo) -> int:
        if value * 24 < info.data.get("events_retry_hours", 0):
            raise ValueError("events would be deleted while they are tried: raise it, or lower AVB_EVENTS_RETRY_HOURS")
        return value

    @field_validator("events_private_networks")
    @classmethod
    def _webhook_networks_are_networks(cls, value: str) -> str:
        return networks(value)

    @field_validator("events_kafka")
    @classmethod
    def _brokers_have_ports(cls, value: str) -> str:
        for each in comma_list(value):
            host, _, port = each.rpartition(":")
            if not host or not port.isdigit() or not 0 < int(port) < 65_536:
                raise ValueError(f"{each!r} should be host:port, for example broker-1:9092")
        return value

    @property
    def event_networks(self) -> tuple[str, ...]:
        """Private networks in which webhooks are allowed."""
        return comma_list(self.events_private_networks)

    @property
    def kafka_brokers(self) -> tuple[str, ...]:
        """The brokers of the Kafka cluster."""
        return comma_list(self.events_kafka)
