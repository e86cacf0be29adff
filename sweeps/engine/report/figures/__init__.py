"""Figures of the report, one file a figure."""

import os
import sys

if "ipykernel" not in sys.modules:  # in a notebook its own shows what is drawn
    # What a process inherits from a notebook would be looked for, and not be found.
    os.environ["MPLBACKEND"] = "agg"
