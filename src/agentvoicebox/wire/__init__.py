"""The protocol's vocabulary: what may be said on the socket, in which spelling, and what each fault is called."""
