"""Who may log in to the console, and as whom."""
