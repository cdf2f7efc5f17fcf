"""Datasets of any convention, brought into one."""
