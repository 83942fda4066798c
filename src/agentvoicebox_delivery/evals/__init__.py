"""Evaluation of the delivery agent: simulated backends, spoken tracking numbers, stated facts."""
