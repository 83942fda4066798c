"""Language models of the delivery agent: the deterministic dialogue, and the wrapper that checks other models' text."""
