"""Image data in memory: uint8 tensors, gathered in batches on the device, no per-image Python."""
