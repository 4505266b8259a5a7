"""Every way from a checkpoint file to a description."""
