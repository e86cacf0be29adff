"""Trains and evaluates one trial, and writes its record. Knows no Ray."""
