"""What other packages expect, on top of the engine."""
