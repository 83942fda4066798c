"""Who may connect, how much they may use, and whether there is capacity."""
