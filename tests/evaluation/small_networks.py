"""Small untrained networks with their folders, and the constants of a small protocol."""

import torch

from ztfrep.data.alert_schema import CLASSES
from ztfrep.encoders.cards import AlertCard, ObjectCard
from ztfrep.encoders.model_folder import save_model
from ztfrep.evaluation.protocol import EvaluationProtocol
from ztfrep.models.alert import get_alert_network
from ztfrep.models.alert.preprocessing import FeatureScaling
from ztfrep.models.object import get_object_network

PROTOCOL = EvaluationProtocol(
    max_train_rows=50,
    knn_neighbours=5,
    linear_c=0.05,
    svm_c=10.0,
    forest_trees=10,
    forest_excluded_features=["rb", "distnr", "magnr"],
    map_rows=20,
)
_RECIPE = {
    "optimizer": "adam",
    "learning_rate": 0.001,
    "schedule": "constant",
    "epochs": None,
    "batch_size": 16,
    "patience": 1,
}
_ALERTS = {
    "latent_dim": 6,
    "dropout": 0.1,
    "stamp_scaling": "minmax",
    "classification_weight": 1.0,
    "sampling": "distinct",
    **_RECIPE,
}
ALERT_CONFIGS = {
    "invariant": {
        "pca_fraction": 0.5,
        "excluded_features": ["magnr"],
        "feature_weight": 1.0,
        "morphology_weight": 0.0,
        "contrastive_weight": 0.0,
        "label_smoothing": 0.0,
        "drop_stamps": 0.0,
        "drop_context": 0.0,
        "drop_features": 0.0,
        "noise": 0.0,
        "shift": 0,
        "rotation": 0.0,
        **_ALERTS,
    },
    "published": {
        "reconstruction_weight": 1.0,
        "loss": "cross_entropy",
        "final_epochs": 0,
        "final_batch_size": 16,
        **_ALERTS,
    },
}
_OBJECTS = {
    "hidden": 4,
    "layers": 1,
    "dropout": 0.1,
    "class_balance": "none",
    "max_observations": 32,
    "cell": "gru",
    **_RECIPE,
}
OBJECT_CONFIGS = {"temporal": {"forecast_weight": 1.0, **_OBJECTS}, "published": _OBJECTS}
_RECORD = {"epoch": 0, "validation_loss": 2.5}
_RUN = {
    "best_epoch": 0,
    "epochs": 0,
    "best": {"validation_loss": 2.5},
    "seed": 0,
    "threads": 1,
    "precision": "float32",
    "ztfrep": "1",
    "torch": "2",
    "history": [_RECORD],
}


def alert_network(architecture="invariant", scaling=None):
    """An untrained network of vectors of 6 numbers, by default without a scale of metadata."""
    torch.manual_seed(0)
    network = get_alert_network(architecture)
    return network(
        network.Config(**ALERT_CONFIGS[architecture]),
        classes=len(CLASSES),
        feature_scaling=scaling or FeatureScaling.none(),
    ).eval()


def object_network(architecture="temporal", input_dim=6, classes=3):
    """An untrained network of vectors of 4 numbers."""
    torch.manual_seed(0)
    network = get_object_network(architecture)
    config = network.Config(**OBJECT_CONFIGS[architecture])
    return network(config, input_dim=input_dim, classes=classes).eval()


def save_alert_network(folder, network, architecture):
    """Write the folder of a network of alerts."""
    card = AlertCard.for_architecture(architecture)(
        architecture=architecture,
        config=network.config,
        classes=list(CLASSES),
        features=network.preprocessing.feature_scaling,
        **_RUN,
    )
    save_model(folder, network, card)


def save_object_network(folder, network, architecture, *, input_dim=6, classes=CLASSES[:3]):
    """Write the folder of a network of objects."""
    card = ObjectCard.for_architecture(architecture)(
        architecture=architecture,
        config=network.config,
        classes=list(classes),
        input_dim=input_dim,
        **_RUN,
    )
    save_model(folder, network, card)
