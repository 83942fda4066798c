"""Tenants, their keys and limits, authentication, and ephemeral secrets."""
