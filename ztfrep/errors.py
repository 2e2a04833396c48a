"""The one error that is the user's to mend: what was found, what was expected, what to do."""

from pathlib import Path


class InputError(Exception):
    """Input that cannot be used; its text is one line, fit to be shown without a traceback."""

    def __init__(self, where: str | Path, *, found: str, expected: str, remedy: str) -> None:
        parts = (str(where), found, expected, remedy)
        where, found, expected, remedy = (" ".join(part.split()) for part in parts)
        super().__init__(f"{where}: found {found}; expected {expected}; {remedy}")
