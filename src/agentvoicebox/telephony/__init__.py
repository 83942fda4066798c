"""Telephone calls: carriers and exchanges connect by WebSocket, and each call is one Realtime session at a gateway."""
