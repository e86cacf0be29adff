"""Image corruptions as batched torch functions with an explicit generator."""
