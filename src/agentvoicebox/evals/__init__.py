"""Evaluation: plays scenarios, replays recorded interactions, scores them, and reports against a baseline."""
