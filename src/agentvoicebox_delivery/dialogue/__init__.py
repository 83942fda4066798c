"""The deterministic delivery agent: what to say or which tool to call next."""
