"""A broker that is started for the first test that needs one."""

import pytest

from tests.kafka_broker import running_broker


@pytest.fixture(scope="session")
def broker():
    """Start a broker for the first test that needs one."""
    with running_broker() as running:
        yield running
