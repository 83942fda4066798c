"""Assembly on one machine: embedded servers, a child process for each heavy role, one log, one end."""
