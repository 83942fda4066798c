"""What a set of interactions is worth: one scorer a file, each `score(interactions, …) -> Scored`."""
