"""The protocol's vocabulary: events and their spelling, and the catalogue of errors."""
