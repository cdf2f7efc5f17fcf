"""Training: what a network sees, how long, and the loop that keeps its best weights."""
