"""Audio in and out: input to samples, windows and utterances; synthesised chunks to output events."""
