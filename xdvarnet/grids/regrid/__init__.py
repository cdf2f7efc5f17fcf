"""From one horizontal grid to another."""
