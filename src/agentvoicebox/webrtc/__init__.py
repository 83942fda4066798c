"""Calls from browsers by WebRTC: a peer connection on one side, a Realtime session on the other."""
