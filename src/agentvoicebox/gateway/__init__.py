"""The gateway: Realtime sessions over WebSockets, and the REST API beside them."""
