"""The gateway: policies and what applies them to connections (extra `edgews[edge]`)."""
