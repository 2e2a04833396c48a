"""The constants of the evaluation protocols."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EvaluationProtocol:
    """The table `evaluate` of `params.yaml`, without the choice of the vectors.

    Attributes
    ----------
    max_train_rows : int
        Train rows, sampled by class, that baselines and probes are fitted to.
    knn_neighbours : int
        Neighbours of the nearest-neighbour probe.
    linear_c, svm_c : float
        Inverse strength of the regularisation of linear probes, and of the RBF SVM.
    forest_trees : int
        Trees of the random forest on the metadata features.
    forest_excluded_features : list of str
        Features that the forest and the linear probe of the features do not read.
    map_rows : int
        Test rows of a projection to a plane.
    """

    max_train_rows: int
    knn_neighbours: int
    linear_c: float
    svm_c: float
    forest_trees: int
    forest_excluded_features: list[str]
    map_rows: int
