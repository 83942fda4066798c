"""Speech-to-text engines, one file per engine."""
