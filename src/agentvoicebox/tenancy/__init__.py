"""Who may come in, for whom, and how much of it: tenants, keys, secrets for one call."""
