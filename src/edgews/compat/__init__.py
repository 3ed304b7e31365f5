"""Doors into programs that were written for other libraries."""
