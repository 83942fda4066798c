"""Evaluation of the delivery agent: scenario worlds, spoken tracking numbers, facts that were stated."""
