"""Which point next: the only door to Optuna."""
