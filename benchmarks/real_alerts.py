"""How well the vectors of real alerts tell their weak classes: the protocol of the published work.

dvc exp run -S source=alerts -S sources.alerts.path=FOLDER -S sources.alerts.labels=CSV ...
python -m benchmarks.real_alerts

Reads what that run left in data/. Of all labelled alerts: a linear probe in five folds, stratified
by class and grouped by object, for five seeds of the folds; beside it the same probe of a PCA of
the pixels. The labels must not have reached the encoder (autoencoder.classification_weight=0,
contrastive_weight=0, sampling=distinct), or the figure means nothing. (The published one is of the
815 alerts that no edge of the readout cut.)
"""

import sys

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.measuring import save
from stages.paths import AUTOENCODER, ENCODED_STAMPS, STAMPS
from ztfrep.alerts import CLASSES, AlertTable
from ztfrep.checkpoints import read_card
from ztfrep.encoding import SPLITS, read_blocks
from ztfrep.evaluation import classification
from ztfrep.stamps import prepare

SEEDS = range(5)


def main() -> None:
    """Probe the encoded alerts and a PCA of their pixels."""
    params = read_card(AUTOENCODER)["params"]
    taught = params["classification_weight"] > 0 or params["contrastive_weight"] > 0
    if (taught or params["sampling"] == "balanced") and params["epochs"] != 0:
        sys.exit(
            "error: this encoder saw the labels; train it with classification_weight=0, "
            "contrastive_weight=0 and sampling=distinct or copies"
        )
    table = AlertTable(STAMPS)
    names = table.identity()
    blocks = read_blocks(ENCODED_STAMPS)
    vectors = np.concatenate([blocks[split].vectors for split in SPLITS])
    pixels = [prepare(stamps, "minmax")[0].reshape(len(stamps), -1) for stamps in table.stamps()]
    chosen = names["label"].to_numpy() >= 0
    labels = names["label"].to_numpy()[chosen]
    objects = names["object_id"].to_numpy()[chosen]
    shown = np.concatenate(pixels)[chosen]
    components = min(vectors.shape[1], len(shown) // 2)
    save(
        "real_alerts",
        {
            "alerts": len(labels),
            "objects": len(set(objects)),
            "params": params,
            "vectors": _probe(vectors[chosen].astype(np.float64), labels, objects),
            "pca": _probe(PCA(components, random_state=0).fit_transform(shown), labels, objects),
        },
    )


def _probe(vectors: np.ndarray, labels: np.ndarray, objects: np.ndarray) -> dict[str, object]:
    found = []
    for seed in SEEDS:
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
        model = LogisticRegression(C=0.05, class_weight="balanced", max_iter=5000)
        probe = make_pipeline(StandardScaler(), model)
        predicted = cross_val_predict(probe, vectors, labels, groups=objects, cv=folds)
        found.append(classification(labels, predicted, CLASSES))
    scores = {name: [f[name] for f in found] for name in ("balanced_accuracy", "macro_f1")}
    return {
        name: {"mean": round(float(np.mean(s)), 4), "of_seeds": [round(x, 4) for x in s]}
        for name, s in scores.items()
    }


if __name__ == "__main__":
    main()
