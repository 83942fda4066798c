"""The tools that the server runs: one definition each, for all protocols."""
