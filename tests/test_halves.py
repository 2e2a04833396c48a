"""Halves and draws of labelled objects, and the scores of benchmarks."""

import numpy as np
import pytest

from benchmarks.ablation_scores import FULL, score_cells
from benchmarks.alert_scores import join_nights, score_predictions
from benchmarks.halves import half_of, rows_of
from benchmarks.label_methods import draw

GENERATOR = np.random.default_rng(0)
# 300 alerts of 200 objects; an object has one class.
OBJECTS = np.array([f"ZTF18{GENERATOR.integers(200):07d}" for _ in range(300)])
CLASS = {name: int(GENERATOR.choice(3, p=[0.6, 0.3, 0.1])) for name in np.unique(OBJECTS)}
LABELS = np.array([CLASS[name] for name in OBJECTS])


def test_an_object_is_in_one_half():
    half = half_of(OBJECTS, LABELS)
    assert not set(OBJECTS[half == "A"]) & set(OBJECTS[half == "B"])
    assert set(half) == {"A", "B"}


@pytest.mark.parametrize("survey", range(5))
def test_halves_have_equally_many_objects_of_each_class(survey):
    objects = np.array([f"{name}{survey}" for name in OBJECTS])
    half = half_of(objects, LABELS)
    for label in range(3):
        a, b = (len(set(objects[(half == h) & (label == LABELS)])) for h in "AB")
        assert 0 <= a - b <= 1


def test_a_half_does_not_depend_on_the_order_of_the_rows_or_on_repetitions():
    order = GENERATOR.permutation(len(OBJECTS))
    assert (half_of(OBJECTS[order], LABELS[order]) == half_of(OBJECTS, LABELS)[order]).all()
    _, first = np.unique(OBJECTS, return_index=True)
    assert (half_of(OBJECTS[first], LABELS[first]) == half_of(OBJECTS, LABELS)[first]).all()


def test_the_parts_are_the_labelled_rows():
    labels = np.where(np.arange(300) % 3, LABELS, -1)
    a, b, every = (rows_of(part, OBJECTS, labels) for part in ("A", "B", "all"))
    assert (np.sort(np.concatenate([a, b])) == every).all()
    assert (labels[every] >= 0).all() and len(every) == (labels >= 0).sum()


@pytest.mark.parametrize("count", [1, 5, 100])
def test_a_draw_has_as_many_objects_of_each_class_and_one_row_of_each(count):
    rows = draw(LABELS, OBJECTS, count, seed=0)
    assert len(set(OBJECTS[rows])) == len(rows)
    for label in range(3):
        assert (LABELS[rows] == label).sum() == min(count, len(set(OBJECTS[label == LABELS])))
    assert (draw(LABELS, OBJECTS, count, seed=0) == rows).all()
    assert len(draw(LABELS, OBJECTS, None, seed=0)) == 300


def test_groups_of_nights_share_neither_an_object_nor_a_night():
    nights = GENERATOR.integers(1000, size=300)
    groups = join_nights(OBJECTS, nights)
    assert 1 < len(set(groups)) < 300
    for values in (OBJECTS, nights):
        for value in np.unique(values):
            assert len(set(groups[values == value])) == 1


def test_scores_of_equal_predictions_do_not_differ():
    right, wrong = np.stack([LABELS, LABELS]), np.stack([LABELS * 0, LABELS * 0])
    scores = score_predictions({"right": right, "same": right, "wrong": wrong}, LABELS, OBJECTS)
    assert scores["right"]["balanced_accuracy"]["mean"] == 1
    same = scores["same"]["balanced_accuracy"]["right minus same"]
    assert same == {"mean": 0, "interval": [0, 0]}
    assert scores["wrong"]["balanced_accuracy"]["right minus wrong"]["interval"][0] > 0.6


def test_a_variant_of_an_ablation_differs_by_what_it_loses_in_every_seed():
    few = np.where(np.arange(300) % 10, LABELS, 0)
    cells = {
        FULL: [{"probe": LABELS.tolist()}] * 2,
        "less": [{"probe": few.tolist()}, {"probe": LABELS.tolist()}],
    }
    score = score_cells(cells, {"probe": (LABELS, OBJECTS)})["less"]["probe"]
    low, high = score["span_of_seeds"]
    assert low == 0 < score["difference"][0] < high
    assert score["difference"][0] == pytest.approx(high / 2, abs=1e-3)
