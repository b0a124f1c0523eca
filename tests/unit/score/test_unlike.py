import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from margrave.errors import Fatal
from margrave.score.drift import Drift, Seen
from margrave.score.features.catalogue import VOLATILITY, VOLATILITY_NAMES
from margrave.score.registry import Model, open_model
from margrave.score.unlike import UNLIKE, WATCHED, Stranger
from margrave.settings import REGISTRY

Floats = NDArray[np.float64]


@pytest.fixture(scope="module")
def model() -> Model:
    return open_model(REGISTRY, "unlike/1")


@pytest.fixture(scope="module")
def hours(model: Model) -> Floats:
    """The card's golden hours: 32 of the training data, an absurd one, one with bars alone."""
    with np.load(REGISTRY / "unlike" / "1" / "reference.npz") as held:
        return np.asarray(held["in_columns"])


def with_(row: Floats, **values: float) -> Floats:
    changed = row.copy()
    for name, value in values.items():
        changed[VOLATILITY_NAMES.index(name)] = value
    return changed


def test_hours_of_the_training_data_are_not_strange_and_an_absurd_one_is(model: Model, hours: Floats) -> None:
    found = Stranger(model).of(hours)
    assert sum(one.strange for one in found[:32]) <= 1
    assert found[32].strange
    assert found[32].distance > 3 * UNLIKE
    assert found[32].far


def test_each_further_step_of_an_input_is_further_away(model: Model, hours: Floats) -> None:
    steps = np.stack([with_(hours[1], range_1h=value) for value in (2.0, 3.0, 4.0, 5.0)])
    distances = [one.distance for one in Stranger(model).of(steps)]
    assert distances == sorted(distances)


def test_the_input_that_is_far_is_named_first(model: Model, hours: Floats) -> None:
    (found,) = Stranger(model).of(with_(hours[2], has_volume=1.0, volume_4h=9.0)[None])
    assert found.far[0] == "volume_4h"
    assert found.strange


def test_a_missing_source_sits_at_the_centre_whatever_stands_in_its_columns(model: Model, hours: Floats) -> None:
    masked = [feature.name for feature in VOLATILITY if feature.mask == "has_volume"]
    absent = with_(hours[3], has_volume=0.0)
    anything = with_(absent, **dict.fromkeys(masked, 99.0))
    a, b = Stranger(model).of(np.stack((absent, anything)))
    assert a.distance == b.distance


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_an_input_that_is_no_number_is_strange_and_moves_no_detector(
    model: Model, hours: Floats, broken: float
) -> None:
    (found,) = Stranger(model).of(with_(hours[0], range_24h=np.nan if np.isnan(broken) else broken)[None])
    assert found.strange
    if np.isnan(broken):
        assert found.figures == {}
        assert Drift().after(Seen(features=found.figures)).features == {}


def test_no_market_is_no_question(model: Model) -> None:
    assert Stranger(model).of(np.empty((0, len(VOLATILITY_NAMES)))) == []


def test_what_the_detectors_watch_lies_between_zero_and_one(model: Model, hours: Floats) -> None:
    for found in Stranger(model).of(hours):
        assert set(found.figures) == {"unlike", *WATCHED}
        assert all(0.0 <= value <= 1.0 for value in found.figures.values())


def test_a_model_of_other_columns_is_refused(model: Model) -> None:
    card = msgspec.structs.replace(model.card, columns=VOLATILITY_NAMES[:-1])
    with pytest.raises(Fatal, match="other columns"):
        Stranger(Model(card, model.session))
