"""Agent kits: the port that a kind of agent implements, and the registry that loads installed kits."""
