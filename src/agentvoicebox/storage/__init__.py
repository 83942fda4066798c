"""PostgreSQL: the only package that accesses it."""
