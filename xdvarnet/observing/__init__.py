"""What is observed, where, and with which noise."""
