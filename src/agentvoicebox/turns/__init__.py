"""When a caller's turn begins and ends: from speech probabilities, silence, and the transcript so far. Pure."""
