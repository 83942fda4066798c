"""What is hidden of people and secrets before anything is stored or logged. Pure."""
