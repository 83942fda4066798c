"""The tools that the server runs: one definition of each, whichever door a call comes through."""
