"""What a command's exit code says."""

DONE = 0
SOME_FAILED = 1  # of the trials; the others are recorded
BAD_INPUT = 2  # nothing was started
OUT_OF_BUDGET = 3  # the same command with a larger budget carries on
INTERRUPTED = 130  # the same command carries on
