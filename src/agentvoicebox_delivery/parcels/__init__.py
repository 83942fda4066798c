"""A parcel, the look-up tool over it, and the sentences about its state."""
