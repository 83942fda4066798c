"""Scorers of a set of interactions, one a file, each `score(interactions, …) -> Scored`."""
