"""A client's connection to a Realtime server: dialing, resuming, audio formats. Used by callers and by the telephony role."""
