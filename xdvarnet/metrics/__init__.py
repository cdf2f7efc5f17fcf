"""Scores of maps against a reference."""
