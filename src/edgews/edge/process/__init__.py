"""The gateway as processes: workers, the one that supervises them, and the one that follows it."""
