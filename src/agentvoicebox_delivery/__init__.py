"""The delivery agent: tells callers where their parcel is, and says nothing about it that no look-up returned."""
