"""Speech and language engines behind the ports, one file a provider."""
