"""Figures of the report, one file a figure."""
