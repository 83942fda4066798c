"""How much one source may ask for in a while."""
