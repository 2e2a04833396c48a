"""The error that a user can correct, and quoted text for its messages."""

from collections.abc import Callable
from functools import partial
from pathlib import Path


class InputError(Exception):
    """Input that cannot be used: a file, a parameter or an argument.

    The message is one line and needs no traceback: `WHERE: found FOUND; expected EXPECTED; REMEDY`.
    """

    def __init__(self, where: str | Path, *, found: str, expected: str, remedy: str) -> None:
        parts = (str(where), found, expected, remedy)
        where, found, expected, remedy = (" ".join(part.split()) for part in parts)
        self._parts = {"where": where, "found": found, "expected": expected}
        self._remedy = remedy
        super().__init__(f"{where}: found {found}; expected {expected}; {remedy}")

    def __reduce__(self) -> tuple[Callable[[], "InputError"], tuple[()]]:
        # By keyword: an error of a worker is pickled.
        return partial(InputError, **self._parts, remedy=self._remedy), ()

    def with_remedy(self, remedy: str) -> "InputError":
        """Return the same error with the remedy that a caller knows."""
        return type(self)(**self._parts, remedy=remedy)


def quote(text: str | bytes, maximum: int = 40) -> str:
    """Return the first `maximum` characters of an untrusted text, in quotes, as one printable line.

    Other characters are escaped, since they could control a terminal. The text is cut first, so
    that a long one costs nothing.
    """
    cut = text[:maximum].decode("utf-8", "replace") if isinstance(text, bytes) else text[:maximum]
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)
    is_longer = len(text) > maximum or len(shown) > maximum
    return f"'{shown[: maximum - 3]}...'" if is_longer else f"'{shown}'"
