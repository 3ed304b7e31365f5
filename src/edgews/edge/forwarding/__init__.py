"""HTTP on its way through: routes, origins, header fields, the opening handshake. Sans-IO."""
