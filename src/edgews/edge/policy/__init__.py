"""What may be decided about a connection: values in, a decision out, the clock an argument. Sans-IO."""
