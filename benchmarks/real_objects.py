"""Classes of real objects: the recurrent network beside the mean of the alerts and a forest.

python -m benchmarks.real_objects --stamps STAMPS.parquet --series SERIES.parquet [--part A]

The network is that of a model folder, which was trained on the simulated survey. Its vectors as
they are have a linear probe, and it is fine-tuned in each fold. Objects are predicted in five
folds, stratified by class, for five seeds of the folds. Intervals, of paired differences too, are
of resampled objects. Choices are made on part A of the objects, and part B is for claims.
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier

from benchmarks.alert_scores import compare_methods, linear_probe
from benchmarks.halves import Part, rows_of
from benchmarks.measuring import save
from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.encoders.encoder import load
from ztfrep.encoders.object_batches import object_series
from ztfrep.evaluation.early_classification import classify
from ztfrep.evaluation.object_series import LIGHT_CURVE, LIGHT_CURVE_AND_ALERT, ObjectSeries
from ztfrep.models.object.base import ObjectInput, ObjectNetwork
from ztfrep.training.object_training import class_weights

_EXCLUDED = ("rb", "distnr", "magnr")
_BATCH_OBJECTS = 64


class FineTuned(ClassifierMixin, BaseEstimator):
    """A network that starts from trained weights; a row of its input is the index of an object."""

    def __init__(
        self,
        network: ObjectNetwork,
        objects: ObjectInput,
        epochs: int,
        learning_rate: float,
        frozen: tuple[str, ...] = (),
    ) -> None:
        self.network, self.objects = network, objects
        self.epochs, self.learning_rate, self.frozen = epochs, learning_rate, frozen

    def fit(self, rows: np.ndarray, labels: np.ndarray) -> "FineTuned":
        """Train all parameters but those whose names begin with a name of `frozen`."""
        torch.manual_seed(0)
        self.classes_ = np.unique(labels)
        self.fitted_ = _copy(self.network).train()
        for name, parameter in self.fitted_.named_parameters():
            parameter.requires_grad_(not name.startswith(self.frozen or ("-",)))
        trained = [part for part in self.fitted_.parameters() if part.requires_grad]
        optimizer = torch.optim.AdamW(trained, self.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.epochs)
        index, targets = torch.from_numpy(rows[:, 0]), torch.from_numpy(labels)
        weights = class_weights(labels, len(CLASSES)).clamp(max=10)
        for _ in range(self.epochs):
            for batch in torch.randperm(len(index)).split(_BATCH_OBJECTS):
                loss, _ = self.fitted_.loss(
                    self.objects.rows(index[batch]), targets[batch], weights
                )["loss"]
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            schedule.step()
        self.fitted_.eval()
        return self

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Return the classes of objects."""
        return classify(self.fitted_, self.objects.rows(torch.from_numpy(rows[:, 0])))


def _copy(network: ObjectNetwork) -> Any:
    copy = type(network)(
        network.config,
        input_dim=network.vector_mean.shape[0],
        classes=network.classifier_head.out_features,
    )
    copy.load_state_dict(network.state_dict())
    return copy


def main(
    stamps: Annotated[Path, typer.Option(help="The stamps table of the real alerts.")],
    series: Annotated[Path, typer.Option(help="Their series table.")],
    model: Annotated[Path | None, typer.Option(help="Another model than the released one.")] = None,
    part: Annotated[Part, typer.Option(help="A, B or all: half of the objects, or all.")] = "all",
    epochs: Annotated[int, typer.Option(help="Epochs of the fine-tuning.")] = 8,
    learning_rate: Annotated[float, typer.Option(help="Its learning rate.")] = 0.0003,
    fine_tuned: Annotated[bool, typer.Option(help="The fine-tuned network too.")] = True,
    variants: Annotated[bool, typer.Option(help="Frozen parts and shorter histories too.")] = False,
    name: Annotated[str, typer.Option(help="Of the JSON in benchmarks/results.")] = "real_objects",
) -> None:
    """Predict the classes of real objects in folds."""
    torch.set_num_threads(1)
    encoder, table = load(model, device="cpu"), AlertTable(stamps, series=series)
    network = encoder.require_object_network()
    vectors = encoder.encode(table)
    ids, observations, padded = object_series(table.observations(), vectors)
    by_row = observations.groupby("row")
    labels = by_row["label"].max().to_numpy().astype(np.int64)
    lengths = by_row["step"].max().to_numpy() + 1
    features = np.concatenate([batch.metadata for batch in table.batches()])
    features[:, ALERCE_FEATURES.columns(_EXCLUDED)] = np.nan
    features = features[:, np.isfinite(features).any(axis=0)]
    alert = observations["alert"].to_numpy()
    metadata = np.where((alert >= 0)[:, None], features[alert], np.nan)
    rows = rows_of(part, ids, labels)
    rows = rows[lengths[rows] > 0]
    counts = np.bincount(labels[rows], minlength=len(CLASSES))
    rows = rows[counts[labels[rows]] >= 5]  # A class must be in all folds.
    objects = ObjectSeries(padded, lengths, observations, metadata).rows(rows)

    inputs = objects.network_input(network)
    encoded = np.concatenate([_encode(network, inputs.rows(slice(i, i + 256)))
                              for i in range(0, len(rows), 256)])  # fmt: skip
    values = objects.baseline_values()
    mean = values["mean_alert"]
    forest = RandomForestClassifier(100, class_weight="balanced", random_state=0)
    index = np.arange(len(rows))[:, None]
    methods: dict[str, tuple[np.ndarray, BaseEstimator]] = {
        "vectors of objects": (encoded, linear_probe()),
        "mean of the alerts' vectors": (mean, linear_probe()),
        "vectors of objects and mean": (np.hstack([encoded, mean]), linear_probe()),
        "forest on light curve and metadata": (values[LIGHT_CURVE], forest),
        "forest on these and the last vector": (values[LIGHT_CURVE_AND_ALERT], forest),
    }
    if fine_tuned:
        tuned = FineTuned(network, inputs, epochs, learning_rate)
        methods["network, fine-tuned"] = index, tuned
    if variants:
        cell = ("cell", "vector_encoder", "missing_vector", "observation_encoder")
        alone = inputs._replace(vector_mask=torch.zeros_like(inputs.vector_mask))
        short = objects.network_input(_shorter(network))
        methods |= {
            "fine-tuned, recurrent cell frozen": (
                index, FineTuned(network, inputs, epochs, learning_rate, cell),
            ),
            "fine-tuned, the last 8 observations": (
                index, FineTuned(network, short, epochs, learning_rate),
            ),
            "fine-tuned, light curve alone": (
                index, FineTuned(network, alone, epochs, learning_rate),
            ),
            "from nothing": (index, FineTuned(_untrained(network), inputs, epochs, learning_rate)),
        }  # fmt: skip
    scores = compare_methods(methods, labels[rows], ids[rows], ids[rows])
    save(
        name,
        {
            "model": encoder.checksum,
            "part": part,
            "objects": len(rows),
            "observations": {
                "median": float(np.median(inputs.lengths)),
                "with a vector": int(inputs.vector_mask.sum()),
            },
            "by_class": dict(zip(CLASSES, np.bincount(labels[rows]).tolist(), strict=False)),
            "epochs": epochs,
            "learning_rate": learning_rate,
            "methods": scores,
        },
    )


def _encode(network: ObjectNetwork, objects: ObjectInput) -> np.ndarray:
    with torch.inference_mode():
        return network.encode(objects).double().numpy()


def _shorter(network: ObjectNetwork) -> Any:
    copy = _copy(network).eval()
    copy.config = network.config.model_copy(update={"max_observations": 8})
    return copy


def _untrained(network: ObjectNetwork) -> Any:
    torch.manual_seed(0)
    copy = type(network)(
        network.config,
        input_dim=network.vector_mean.shape[0],
        classes=network.classifier_head.out_features,
    )
    copy.vector_mean.copy_(network.vector_mean)
    copy.vector_std.copy_(network.vector_std)
    return copy


if __name__ == "__main__":
    typer.run(main)
