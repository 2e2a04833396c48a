"""Encode every first alert to base.npy."""

from stages import run
from stages.paths import AUTOENCODER, ENCODED_STAMPS, STAMPS
from ztfrep.encoders.vectors_of_tables import encode_alert_table
from ztfrep.params import Params


def main(params: Params) -> None:
    """Write one vector per row of the stamps table, in its order."""
    encode_alert_table(
        STAMPS,
        AUTOENCODER,
        ENCODED_STAMPS,
        batch_size=params.encode.batch_size,
        precision=params.precision,
        threads=params.threads,
    )


if __name__ == "__main__":
    run(main)
