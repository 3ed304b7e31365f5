"""Echo servers on loopback, one process each, and what a message costs them."""
