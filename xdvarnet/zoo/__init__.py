"""Trained models and the names that build them."""
