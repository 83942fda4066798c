"""Tracking numbers: typed, spoken, misrecognised, read back."""
