"""What the evaluation stages say beside their numbers."""

import numpy as np

from stages.reporting import ahead, scored_rows


def test_a_score_says_on_how_many_rows_it_is():
    assert scored_rows(np.array([0, 2, 1]), "alerts") == "3 test alerts"
    assert scored_rows(np.array([0, -1, 1]), "objects") == "2 labelled test objects"


def test_methods_are_compared_with_the_rivals_that_were_run():
    labels = np.repeat([0, 1], 40)
    right, half = labels, np.where(np.arange(80) % 2 == 0, labels, 1 - labels)
    found = ahead(
        labels, {"ours": right, "forest": half}, [("ours", "forest"), ("ours", "absent")], seed=0
    )
    assert list(found) == ["ours_over_forest"]
    pair = found["ours_over_forest"]
    assert pair["accuracy"] == 0.5
    assert 0.3 < pair["balanced_accuracy_low"] < 0.5 < pair["balanced_accuracy_high"] < 0.7
