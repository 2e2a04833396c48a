"""The one error that is the user's to correct, and how it shows text that a file holds."""

from pathlib import Path


class InputError(Exception):
    """Input that cannot be used; its text is one line, fit to be shown without a traceback."""

    def __init__(self, where: str | Path, *, found: str, expected: str, remedy: str) -> None:
        parts = (str(where), found, expected, remedy)
        where, found, expected, remedy = (" ".join(part.split()) for part in parts)
        super().__init__(f"{where}: found {found}; expected {expected}; {remedy}")


def quote(text: str | bytes, maximum: int = 40) -> str:
    """Return the first `maximum` characters of a text from a file in quotes, printable, one line.

    What would steer a terminal is escaped; the text is cut before anything else is done with it.
    """
    cut = text[:maximum].decode("utf-8", "replace") if isinstance(text, bytes) else text[:maximum]
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)
    is_longer = len(text) > maximum or len(shown) > maximum
    return f"'{shown[: maximum - 3]}...'" if is_longer else f"'{shown}'"
