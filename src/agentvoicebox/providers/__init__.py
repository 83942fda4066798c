"""Speech and language engines behind the ports, one file per provider."""
