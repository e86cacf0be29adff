"""What all sweeps share: options, plan, records, scheduling, search, tracking, progress, report."""
