"""The commands: a sweep, an evaluation of checkpoints, progress, dry run."""
