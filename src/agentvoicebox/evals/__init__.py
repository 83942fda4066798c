"""Calls as evidence: a caller that speaks into a live server, what was recorded of it, and how it is told."""
