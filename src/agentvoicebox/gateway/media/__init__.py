"""WebRTC calls as the gateway sees them: their ids, and the client of the roles that carry their media."""
