"""Small model folders, whole and tampered with."""

import json
from pathlib import Path

import torch

from ztfrep.data.alert_schema import CLASSES
from ztfrep.encoders import model_folder as checkpoints
from ztfrep.encoders.cards import AutoencoderCard, FeatureScaling, RecurrentCard
from ztfrep.models.alert import losses as autoencoder
from ztfrep.models.alert.base import AlertInput
from ztfrep.models.object import published_recurrent as recurrent
from ztfrep.models.object.base import SeriesInput
from ztfrep.params import read_params

PARAMS = read_params(Path(__file__).parents[1] / "params.yaml")
HISTORY = [
    {"epoch": 0, "validation_loss": 2.5, "validation_accuracy": 0.2},
    {"epoch": 1, "train_loss": 2.0, "validation_loss": 1.25, "validation_accuracy": 0.4},
    {"epoch": 2, "train_loss": 1.0, "validation_loss": 1.5, "validation_accuracy": 0.5},
]
RUN = {
    "classes": list(CLASSES),
    "epochs": 2,
    "best_epoch": 1,
    "best": {name: value for name, value in HISTORY[1].items() if name != "epoch"},
    "seed": 7,
    "threads": 2,
    "precision": "float32",
    "ztfrep": "1.0",
    "torch": "2.13.0+cpu",
    "history": HISTORY,
}
# Network by folder: what loads it, and the type of its card.
KINDS = {
    "published": (autoencoder.build, AutoencoderCard),
    "invariant": (autoencoder.build, AutoencoderCard),
    "gru": (recurrent.build, RecurrentCard),
    "temporal": (recurrent.build, RecurrentCard),
    "attention": (recurrent.build, RecurrentCard),
}


def save(folder, architecture):
    """Write an untrained network and its card, as training would."""
    torch.manual_seed(1)
    build, kind = KINDS[architecture]
    if kind is AutoencoderCard:
        sizes = {"latent_dim": 6, "dropout": 0.25, "classes": len(CLASSES)}
        if architecture == "invariant":
            sizes["detail"] = 0.5
        names = {"architecture": architecture, **sizes}
        chosen = PARAMS.autoencoder.model_copy(
            update={name: value for name, value in names.items() if name != "classes"}
        )
        own = {
            "rescale": chosen.rescale,
            "features": FeatureScaling(
                unit="physical",
                mean=[0.5 + place for place in range(26)],
                std=[1.5] * 26,
                left_out=chosen.left_out,
            ),
        }
    else:
        sizes = {
            "cell": "attention" if architecture == "attention" else "gru",
            "input_dim": 6,
            "hidden": 8,
            "layers": 2,
            "dropout": 0.25,
            "classes": len(CLASSES),
        }
        names = {"architecture": "published" if architecture == "gru" else "temporal"}
        same = {name: sizes[name] for name in ("cell", "hidden", "layers", "dropout")}
        chosen = PARAMS.recurrent.model_copy(update=names | same)
        own = {"most_epochs": chosen.most_epochs}
    card = kind.model_validate(
        {
            "architecture": chosen.architecture,
            "sizes": sizes,
            "params": chosen,
            **own,
            **RUN,
        }
    )
    checkpoints.save_model(folder, build(chosen.architecture, **sizes), card)


def load(folder, architecture):
    """Load a folder as the stages do."""
    return checkpoints.load_model(folder, *KINDS[architecture])


def vectors(model, card):
    """Encode two inputs that are always the same; what a card decides of them is applied."""
    generator = torch.Generator().manual_seed(3)
    if isinstance(card, RecurrentCard):
        steps = min(5, card.most_epochs)
        given = SeriesInput(
            torch.rand(2, 5, 6, generator=generator)[:, -steps:],
            torch.ones(2, steps, dtype=torch.bool),
            torch.rand(2, 5, 3, generator=generator)[:, -steps:],
            torch.rand(2, 5, 9, generator=generator)[:, -steps:],
            torch.full((2,), steps),
        )
    else:
        values = torch.rand(2, 26, generator=generator)
        scale = card.features
        given = AlertInput(
            torch.rand(2, 3, 21, 21, generator=generator),
            torch.ones(2, 3, 21, 21, dtype=torch.bool),
            torch.rand(2, 8, 21, 21, generator=generator),
            (values - torch.tensor(scale.mean)) / torch.tensor(scale.std),
            torch.ones(2, 26, dtype=torch.bool),
        )
    with torch.inference_mode():
        return model.encode(*given)


def content(folder):
    return json.loads((folder / checkpoints.CARD).read_text())


def altered(card, key, value):
    """Return a copy of a card's content with another value at a dotted key; `...` removes it."""
    copy = json.loads(json.dumps(card))
    *parents, last = key.split(".")
    part = copy
    for name in parents:
        part = part[int(name) if isinstance(part, list) else name]
    last = int(last) if isinstance(part, list) else last
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return copy
