"""What the gateway counts, and what of it can be read. Sans-IO: the clock is an argument."""
