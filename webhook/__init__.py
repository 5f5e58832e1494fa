"""The door: answers Meta in milliseconds and decides nothing medical."""
