"""The front door: one process that holds calls, turning frames into facts and effects into frames."""
