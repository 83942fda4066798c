"""The hotline's front doors over HTTP: Vapi's webhooks, plain REST, and an internal port for those who run it."""
