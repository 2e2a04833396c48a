"""Encode every object to objects.npy."""

from stages import run
from stages.paths import ENCODED_OBJECTS, ENCODED_SERIES, OBSERVATIONS, RECURRENT
from ztfrep.encoders.vectors_of_tables import encode_object_series
from ztfrep.params import Params


def main(params: Params) -> None:
    """Write one vector per object, in the order of baseRecurrente.npy."""
    encode_object_series(
        ENCODED_SERIES,
        OBSERVATIONS,
        RECURRENT,
        ENCODED_OBJECTS,
        precision=params.precision,
        threads=params.threads,
    )


if __name__ == "__main__":
    run(main)
