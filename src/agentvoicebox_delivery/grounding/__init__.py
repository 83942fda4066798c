"""Whether a sentence about a parcel is borne out by what tools returned."""
