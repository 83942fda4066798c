"""Sessions in the store: their owners, their input logs, and the cleanup of expired ones."""
