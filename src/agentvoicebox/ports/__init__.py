"""Small protocols between the conversation and the world; one only where two implementations exist."""
