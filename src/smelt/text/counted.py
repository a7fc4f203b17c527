"""Numbers of things in messages."""


def counted(number: int, noun: str) -> str:
    """``1 package``, ``3 packages``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
