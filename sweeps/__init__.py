"""The runnable sweeps, one file a research question, and the engine they share."""
