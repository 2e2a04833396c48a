"""What the evaluation stages say beside their numbers."""

import numpy as np

from stages.reporting import scored_rows


def test_a_score_says_on_how_many_rows_it_is():
    assert scored_rows(np.array([0, 2, 1]), "alerts") == "3 test alerts"
    assert scored_rows(np.array([0, -1, 1]), "objects") == "2 labelled test objects"
