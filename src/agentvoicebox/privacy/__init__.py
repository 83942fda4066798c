"""Hides personal data and secrets before anything is stored or logged. Pure."""
