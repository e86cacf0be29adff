"""Game of Noise in plain torch: noise training, corruptions and their evaluation.

Nothing in this package knows of Ray, Optuna, MLflow or of the files of a sweep.
"""
