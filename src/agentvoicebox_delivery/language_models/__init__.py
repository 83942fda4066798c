"""Language models of the delivery agent: the deterministic dialogue, and the check of what another model says."""
