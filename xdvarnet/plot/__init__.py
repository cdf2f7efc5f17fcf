"""Figures; cartopy and matplotlib are imported when a figure is drawn."""
