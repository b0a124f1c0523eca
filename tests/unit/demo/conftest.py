from __future__ import annotations

import pytest

from margrave.lab.demo.record import Summary

from . import sample


@pytest.fixture(scope="session")
def summary() -> Summary:
    """Sixty rounds of two markets through a generated crash."""
    return sample.run()
