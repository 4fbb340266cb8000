"""From a real request to a fired alert: the emulator, the reference service, traffic, and what comes of it."""
