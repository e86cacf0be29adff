"""Tables of the report, for every page alike."""
