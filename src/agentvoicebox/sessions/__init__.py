"""Sessions in the store: who owns each, what was said to its engine, and who sweeps up after it."""
