"""Process and machine: signals, exit codes, errors, provenance, temporary folders, text."""
