"""What a command's exit code says."""

DONE = 0
SOME_FAILED = 1  # of the trials, whatever ended the sweep but Ctrl-C; the others are recorded
BAD_INPUT = 2  # nothing was started; or the first trial on a machine does not see the storage
OUT_OF_BUDGET = 3  # and no trial failed; the same command with a larger budget resumes
INTERRUPTED = 130  # the same command resumes
