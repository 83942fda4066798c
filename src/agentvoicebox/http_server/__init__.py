"""HTTP and WebSocket serving that strangers can't exhaust: bounds on connections, bytes, frames and waiting times."""
