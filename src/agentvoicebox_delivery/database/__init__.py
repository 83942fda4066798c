"""The table of shipments: its revisions and its SQL."""
