"""What a year of alerts takes: the arithmetic of benchmarks.survey_years."""

import pytest

from benchmarks.survey_years import Rates, estimate, read_rates

RATES = Rates(
    read=1000.0, encode=500.0, client=2000.0,
    packet_bytes=50_000, table_bytes=40_000, store_bytes=60_000, vector_bytes=512,
)  # fmt: skip


def test_a_year_takes_its_alerts_at_the_measured_rates():
    year = estimate(RATES, 36 * 10**6)
    assert (year.read_core_hours, year.encode_core_hours, year.client_hours) == (10, 20, 5)
    assert year.machines_for_a_day == pytest.approx(30 / 24 / 32)
    assert year.packets_tb == pytest.approx(1.8)
    assert year.temporary_tb == pytest.approx(2.16)
    assert year.tables_tb == pytest.approx(1.44)
    assert year.vectors_tb == pytest.approx(0.018432)
    assert year.bottleneck == "the workers"
    assert estimate(RATES, 10**9).bottleneck == "the client"


def test_the_rate_of_the_client_is_that_of_a_conversion_without_its_reading():
    sizes = {"packets": 5, "stamps_table": 3, "series_table": 1, "batch_store": 6, "vectors": 2}
    steps = {"read": 10.0, "convert": 12.0, "encode": 20.0}
    result = {
        "alerts": 1000,
        "seconds": {step: {"1 worker": seconds} for step, seconds in steps.items()},
        "bytes_per_alert": sizes,
    }
    assert read_rates(result) == Rates(100, 50, 500, 5, 4, 6, 2)
