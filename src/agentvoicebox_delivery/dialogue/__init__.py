"""The deterministic delivery agent: decides what to say or which tool to call next."""
