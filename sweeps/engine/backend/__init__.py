"""Runs trials: the only door to Ray."""
