"""Names of the files of a sweep, and of the one metric that all of its parts must agree on."""

MODEL = "model.safetensors"
NOISE = "noise.safetensors"
RIGHT = "right.safetensors"
PERTURBED = "perturbed.safetensors"
EXAMPLES = "examples.safetensors"
STARTING_MODELS = "starting_models"  # reserved: no sweep may take this name
# The metric of each epoch that pruning compares and the live table shows: each validation image
# under one of the corruptions. The search looks at the final model under all of them.
VALIDATION_METRIC = "validation_corrupted"
