"""A Realtime client with a voice: places a call, speaks lines into it, and records what came back."""
