"""What `edgews.toml` may say, checked as a whole. Sans-IO, but for reading that one file."""
