"""Logs, metrics, and the latency of turns."""
