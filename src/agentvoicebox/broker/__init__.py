"""Work out to the workers and back: the broker port over Valkey/Redis Streams, and over memory."""
