"""Rate limits: how much one source may use within a window."""
