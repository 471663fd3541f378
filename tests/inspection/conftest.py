"""One inspection of the tiny pool, for all tests of what is found in it."""

import pytest
from inspections import inspected

from dfkd.experiment import Experiment
from dfkd.inspection.fitness import Fitness
from dfkd.training.distill import Inputs
from dfkd.training.inputs import InputSource


@pytest.fixture(scope="package")
def fitness(tiny: Experiment, source: InputSource, inputs: Inputs) -> Fitness:
    return inspected(tiny, source, inputs)
