"""One session while its caller is connected: sockets, engine driver, jobs, effects, resumption."""
