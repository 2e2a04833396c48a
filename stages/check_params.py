"""Check params.yaml whole: a wrong key is an error even where no other stage reads it."""

from stages import run


def main(_: object) -> None:
    """Do nothing more: whoever comes here has read the parameters."""


if __name__ == "__main__":
    run(main)
