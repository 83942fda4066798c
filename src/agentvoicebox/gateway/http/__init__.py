"""Routes and bodies of the HTTP server."""
