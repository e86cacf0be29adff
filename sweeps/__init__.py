"""The runnable sweeps, one file a question, and the engine they share."""
