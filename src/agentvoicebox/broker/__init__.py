"""Job dispatch and results: the broker port over Valkey/Redis Streams."""
