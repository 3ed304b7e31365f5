"""HTTP on its way through: routes, origins, header fields, and what is asked and answered in the opening handshake. Sans-IO."""
