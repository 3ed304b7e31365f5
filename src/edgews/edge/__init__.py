<<<<<<< HEAD
"""The gateway: policies and what applies them to connections (extra `edgews[edge]`)."""
=======
"""The gateway: it stands in front of WebSocket servers, relays their connections, and knows what they do.

It comes with the extra `edgews[edge]`.
"""
>>>>>>> f4e1f46 (A gateway that scans frames and passes them on as they came)
