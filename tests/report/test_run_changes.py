"""What differs between two runs."""

from ztfrep.report.method_names import direction
from ztfrep.report.run_changes import (
    ABSENT,
    MetricChange,
    by_importance,
    compare_metrics,
    compare_parameters,
    is_used,
)

PARAMS = {
    "source": "sample",
    "seed": 7,
    "sources": {"sample": {"scale": 0.1}, "survey": {"scale": 0.2}},
    "autoencoder": {
        "architecture": "invariant",
        "released": {"below": 3},
        "invariant": {"dropout": 0.2, "widths": [1, 2]},
        "published": {"dropout": 0.8},
    },
}


def test_parameters_of_tables_that_the_run_does_not_use_come_last():
    before = {
        **PARAMS,
        "seed": 1,
        "sources": {"sample": {"scale": 0.1}, "survey": {"scale": 0.3}},
        "autoencoder": {
            **PARAMS["autoencoder"],
            "invariant": {"dropout": 0.2, "widths": [1]},
            "published": {},
        },
    }
    changes = compare_parameters(before, PARAMS)
    assert [(c.key, c.before, c.after, c.is_used) for c in changes] == [
        ("seed", 1, 7, True),
        ("autoencoder.invariant.widths", [1], [1, 2], True),
        ("sources.survey.scale", 0.3, 0.2, False),
        ("autoencoder.published.dropout", ABSENT, 0.8, False),
        ("autoencoder.published", {}, ABSENT, False),
    ]
    assert compare_parameters(PARAMS, PARAMS) == []


def test_a_parameter_is_used_if_its_table_is_that_of_the_source_or_the_architecture():
    used = ("seed", "source", "sources.sample.scale", "autoencoder.architecture")
    assert all(is_used(key, PARAMS) for key in used)
    assert is_used("autoencoder.released.below", PARAMS)
    assert not is_used("sources.survey.scale", PARAMS)
    assert not is_used("autoencoder.published.dropout", PARAMS)


def test_a_metric_is_compared_with_the_interval_before():
    before = {"knn": {"accuracy": 0.5, "accuracy_low": 0.4, "accuracy_high": 0.6}, "mse": 0.1}
    after = {"knn": {"accuracy": 0.7, "accuracy_low": 0.6, "accuracy_high": 0.8}, "psnr": 3.0}
    accuracy, psnr, mse = compare_metrics("stamps.json", before, after)
    assert (accuracy.key, accuracy.is_in_interval, accuracy.is_better) == (
        "knn.accuracy",
        False,
        True,
    )
    assert round(accuracy.change, 9) == 0.2
    assert (psnr.before, psnr.after, psnr.change) == (ABSENT, 3.0, None)
    assert (mse.before, mse.after) == (0.1, ABSENT)


def test_a_lower_error_is_better_and_a_count_is_neither():
    assert direction("classifier_head.macro_f1") == direction("x.mse_reduction") == 1
    for key in ("reconstruction.mse_science", "calibration.ece", "train_loss", "validation_loss"):
        assert direction(key) == -1
    assert direction("objects") == direction("prediction_sets.coverage") == 0


def test_main_metrics_are_those_of_whole_methods_on_test_rows():
    def is_main(file, key):
        return MetricChange(file, key, 0.5, 0.6, None, None).is_main

    assert is_main("stamps.json", "knn.balanced_accuracy")
    assert is_main("series.json", "forecast_magnitude.network.mean_absolute_error")
    assert not is_main("stamps_validation.json", "knn.balanced_accuracy")
    assert not is_main("stamps.json", "paired_differences.a_minus_b.macro_f1")
    assert not is_main("series.json", "early_classification.after_1.network.macro_f1")
    assert not is_main("stamps.json", "prediction_sets.by_class.SN.coverage")
    assert not is_main("stamps.json", "knn.accuracy")


def test_changes_out_of_the_interval_come_first_then_the_larger_ones():
    def change(key, after, low, high):
        return MetricChange("stamps.json", key, 0.5, after, low, high)

    small, large = change("small", 0.51, 0.4, 0.6), change("large", 0.55, 0.4, 0.6)
    outside = change("outside", 0.52, 0.49, 0.51)
    assert by_importance([small, large, outside]) == [outside, large, small]
