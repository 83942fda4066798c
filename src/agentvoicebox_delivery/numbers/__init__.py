"""Tracking numbers: typed, spoken, misheard, read back."""
