"""Frames on their way through: scanned, and passed on as they came. Sans-IO."""
