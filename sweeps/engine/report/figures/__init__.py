"""Figures of the report, one file a figure."""

import os

os.environ["MPLBACKEND"] = "agg"  # a notebook's would be looked for, and not be found
