"""What is wrong with a test itself, as against what it found."""


class ScriptError(ValueError):
    """The script, its policies or its series cannot be used; the message is for its author."""
