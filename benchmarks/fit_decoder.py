"""A decoder for a trained autoencoder that has none: its encoder and its vectors stay as they are.

dvc repro convert
python -m benchmarks.fit_decoder MODEL --stamps data/parquet/stamps.parquet

Reads a model folder of the architecture `invariant` that was written before its decoder was learnt,
and writes it again with a decoder that is trained on the train rows of a stamps table. Parameters
that its card lacks are those of params.yaml. A training from the start needs no such step.
"""

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from safetensors.torch import load_file

from ztfrep.data.alert_schema import ROW_GROUP
from ztfrep.data.alert_table import AlertTable
from ztfrep.encoders.alert_batches import concatenate, input_batches
from ztfrep.encoders.cards import AlertCard
from ztfrep.encoders.model_folder import (
    CARD,
    WEIGHTS,
    load_alert_network,
    model_checksum,
    save_model,
)
from ztfrep.encoders.reference_files import read_reference
from ztfrep.models.alert.invariant import InvariantAutoencoder
from ztfrep.params import read_params

ARCHITECTURE = "invariant"


def main(
    model: Annotated[Path, typer.Argument(help="The folder of the autoencoder.")],
    stamps: Annotated[Path, typer.Option(help="A stamps table of the source it learnt from.")],
    epochs: Annotated[int, typer.Option(help="Epochs, each of all train rows.")] = 40,
    params: Annotated[Path, typer.Option(help="Parameters that the card lacks.")] = Path(
        "params.yaml"
    ),
) -> None:
    """Train the decoder of an autoencoder, and write its model folder again."""
    content = json.loads((model / CARD).read_text(encoding="utf-8"))
    defaults = getattr(read_params(params).autoencoder, ARCHITECTURE).model_dump()
    content["config"] = defaults | content["config"]
    card = AlertCard.for_architecture(ARCHITECTURE).model_validate(content)
    network = card.build()
    assert isinstance(network, InvariantAutoencoder)
    state = load_file(model / WEIGHTS)
    missing, unexpected = network.load_state_dict(state, strict=False)
    if unexpected or any(not name.startswith("decoder.") for name in missing):
        raise SystemExit(f"error: {model}: weights of another network than {ARCHITECTURE}")
    _train(network, AlertTable(stamps), epochs)
    reference = read_reference(
        model, model_checksum(model), length=card.vector_length, classes=len(card.classes)
    )
    save_model(model, network, card, reference)
    load_alert_network(model)
    print(model)


def _train(network: InvariantAutoencoder, table: AlertTable, epochs: int) -> None:
    """Train the decoder on the vectors of the train rows of a table, which do not change."""
    torch.manual_seed(0)
    split = table.identity()["split"].to_numpy()
    alerts = concatenate(input_batches(network.eval(), table, ROW_GROUP))
    alerts = alerts.rows(np.flatnonzero(split == "train"))
    network.fit_decoder(alerts)
    targets = network.noise_targets(alerts)
    chunks = torch.arange(len(alerts.pixels)).split(128)
    with torch.inference_mode():
        vectors = torch.cat([network.encode(alerts.rows(rows)) for rows in chunks]).clone()
        orientation = torch.cat([network.orientation(alerts.rows(rows)) for rows in chunks]).clone()
    config = network.config
    optimizer = torch.optim.AdamW(network.decoder.parameters(), lr=config.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for epoch in range(epochs):
        for rows in torch.randperm(len(vectors)).split(config.batch_size):
            terms = network.decoder_terms(
                alerts.rows(rows),
                vectors[rows],
                orientation[rows],
                tuple(part[rows] for part in targets),
            )
            loss = terms["reconstruction"][0] + terms["denoising"][0]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        print(epoch + 1, *(f"{name} {float(value):.6f}" for name, (value, _) in terms.items()))


if __name__ == "__main__":
    typer.run(main)
