"""Speech and transcripts of single requests, without a call."""
