"""Checks whether a sentence about a parcel is supported by tool results."""
