"""All trials of a sweep, and what they will cost, decided before anything starts."""
