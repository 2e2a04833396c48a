"""Check the whole params.yaml: a wrong key is an error even if no other stage reads it."""

from stages import run


def main(_: object) -> None:
    """Do nothing: `run` has checked the parameters."""


if __name__ == "__main__":
    run(main)
