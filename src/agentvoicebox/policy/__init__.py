"""Authorization of admitted callers by one set of Rego files: in this process, or by an OPA server."""
