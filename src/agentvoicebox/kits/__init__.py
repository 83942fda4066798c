"""Agent kits: the port that a kind of agent implements, and how installed kits are found and put together."""
