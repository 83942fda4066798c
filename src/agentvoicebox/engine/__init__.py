"""The conversation as a pure function: `receive(input, now) -> effects`. No I/O, no clock, no randomness."""
