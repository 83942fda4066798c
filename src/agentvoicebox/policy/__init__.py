"""What an admitted caller may do, decided by one set of Rego files: in this process, or by an OPA server."""
