"""What the system says about itself: logs, metrics, and where each millisecond of a turn went."""
