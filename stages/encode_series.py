"""Encode every alert of every series to baseRecurrente.npy."""

from stages import run
from stages.paths import AUTOENCODER, ENCODED_SERIES, ENCODED_STAMPS, OBSERVATIONS, SERIES
from ztfrep.encoders.vectors_of_tables import encode_series_table
from ztfrep.params import Params


def main(params: Params) -> None:
    """Write one row per object: its vectors in time order; and its observations."""
    encode_series_table(
        SERIES,
        AUTOENCODER,
        ENCODED_STAMPS,
        ENCODED_SERIES,
        OBSERVATIONS,
        batch_size=params.encode.batch_size,
        precision=params.precision,
        threads=params.threads,
    )


if __name__ == "__main__":
    run(main)
