"""Events for other systems: where they go, and how they get there."""
