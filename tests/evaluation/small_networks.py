"""Small untrained networks with their folders, and the parameters of a small evaluation."""

from tests.model_folders import RUN
from tests.models import networks
from ztfrep.data.alert_schema import CLASSES
from ztfrep.encoders.cards import AlertCard, ObjectCard
from ztfrep.encoders.model_folder import save_model
from ztfrep.evaluation.protocol import EvaluationProtocol

PROTOCOL = EvaluationProtocol(
    max_train_rows=50,
    knn_neighbours=5,
    linear_c=0.05,
    svm_c=10.0,
    forest_trees=10,
    forest_excluded_features=["rb", "distnr", "magnr"],
    map_rows=20,
)
_ALERT_CHANGES = {
    "invariant": {"latent_dim": 6, "pca_fraction": 0.5, "excluded_features": ["magnr"]},
    "published": {"latent_dim": 6, "stamp_scaling": "minmax"},
}


def alert_network(architecture="invariant", scaling=None):
    """Return an untrained network of vectors of length 6, by default without a feature scaling."""
    changes = _ALERT_CHANGES[architecture]
    return networks.alert_network(architecture, scaling=scaling, **changes).eval()


def object_network(architecture="temporal", input_dim=6, classes=3):
    """Return an untrained network of vectors of length 4."""
    return networks.object_network(
        architecture, input_dim=input_dim, classes=classes, hidden=4, layers=1
    )


def save_alert_network(folder, network, architecture):
    """Write the folder of a network of alerts."""
    card = AlertCard.for_architecture(architecture)(
        architecture=architecture,
        config=network.config,
        features=network.preprocessing.feature_scaling,
        **RUN,
    )
    save_model(folder, network, card)


def save_object_network(folder, network, architecture, *, input_dim=6, classes=CLASSES[:3]):
    """Write the folder of a network of objects."""
    card = ObjectCard.for_architecture(architecture)(
        architecture=architecture,
        config=network.config,
        input_dim=input_dim,
        **RUN | {"classes": list(classes)},
    )
    save_model(folder, network, card)
