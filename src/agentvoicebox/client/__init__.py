"""A Realtime client with a voice: makes a call, speaks lines into it, and records the result."""
