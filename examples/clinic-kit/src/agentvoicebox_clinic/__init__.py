"""An example agent kit: a clinic's telephone. `docs/agent-kits.md` explains it step by step."""
