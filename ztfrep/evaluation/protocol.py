"""Parameters of the evaluation."""

from typing import Annotated

from pydantic import Field, model_validator

from ztfrep.data.feature_names import FeatureNames
from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.fields import Table

# The inverse strength of a probe's regularisation.
_Regularisation = Annotated[float, Field(gt=0, le=1e6)]


class EvaluationProtocol(Table):
    """The parameters of probes, baselines and maps in the table `evaluate` of `params.yaml`."""

    max_train_rows: Annotated[int, Field(ge=10, le=1_000_000)]
    """Train rows for the probes, sampled by class: the SVM is quadratic in them."""
    knn_neighbours: Annotated[int, Field(ge=1, le=10_000)]
    """Neighbours of the k-nearest-neighbours probe."""
    linear_c: _Regularisation
    """Inverse regularisation strength C of the linear probes."""
    svm_c: _Regularisation
    """C of the RBF SVM."""
    forest_trees: Annotated[int, Field(ge=1, le=10_000)]
    """Trees of the random forest on the metadata."""
    forest_excluded_features: FeatureNames
    """Features that the forest never sees; ALeRCE's classifier excludes them too."""
    map_rows: Annotated[int, Field(ge=10, le=100_000)]
    """Rows of a latent map."""

    @model_validator(mode="after")
    def _check_excluded_features(self) -> "EvaluationProtocol":
        if len(set(self.forest_excluded_features)) == len(ALERCE_FEATURES):
            raise ValueError(
                "forest_excluded_features of every feature; expected one left; shorten the list"
            )
        return self
