"""The delivery domain, pure: tracking numbers, shipments, the dialogue about them, and the words of each reply."""
