"""Encode every object to objects.npy."""

from stages import run
from stages.device import start
from stages.paths import ENCODED_OBJECTS, ENCODED_SERIES, RECURRENT
from stages.series_inputs import series_inputs
from ztfrep.data.chunks import chunks as slices
from ztfrep.data.row_index import read_row_index as read_names
from ztfrep.data.row_index import write_row_index as write_names
from ztfrep.data.vector_writer import open_vectors_for_writing as writing_blocks
from ztfrep.encoders import model_folder as checkpoints
from ztfrep.encoders.batches import encode
from ztfrep.encoders.cards import RecurrentCard
from ztfrep.errors import InputError
from ztfrep.models.object import published_recurrent as recurrent
from ztfrep.params import Params


def main(params: Params) -> None:
    """Write one vector per series, in the order of baseRecurrente.npy."""
    device = start(params)
    model, card = checkpoints.load_model(RECURRENT, recurrent.build, RecurrentCard)
    model.to(device)
    names = read_names(ENCODED_SERIES)
    size = card.sizes.hidden
    inputs = series_inputs(model.all_epochs, card.most_epochs)
    found = inputs["test"].vectors.shape[2]
    if found != card.sizes.input_dim:
        raise InputError(
            ENCODED_SERIES,
            found=f"vectors of {found} numbers",
            expected=f"{card.sizes.input_dim}, as {RECURRENT} was trained on",
            remedy="run dvc repro, which trains it on these vectors",
        )
    with writing_blocks(ENCODED_OBJECTS, names, (size,), "<f4", "<i8") as blocks:
        for split, series in inputs.items():
            for rows in slices(len(series.lengths), f"objects {split}"):
                batch = [part[rows] for part in series]
                blocks[split].vectors[rows] = encode(model, batch, device, params.precision)
    write_names(ENCODED_OBJECTS, names)


if __name__ == "__main__":
    run(main)
