"""What must be right before a server starts, checked in a second: `serve` refuses what is wrong, `doctor` shows everything."""
