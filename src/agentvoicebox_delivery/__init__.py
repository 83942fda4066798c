"""The delivery agent: reports where a parcel is, and states nothing about it that no look-up returned."""
