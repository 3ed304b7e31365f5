"""The gateway: policies, and what relays connections and applies them (extra `edgews[edge]`)."""
