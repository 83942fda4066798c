"""The webhook server: Vapi's webhooks and REST on a public port, and an internal port for operators."""
