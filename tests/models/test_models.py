"""Every network by name: the same weights for the same seed, and nobody else's random numbers."""

from functools import partial

import pytest
import torch

from dl780 import UserError
from dl780.models import get_model, list_models
from dl780.models.cost import parameters, sketch

LARGE = 30_000_000  # weights, which take seconds to draw; the same functions build the smaller ones
SMALL = [name for name in list_models() if parameters(sketch(partial(get_model, name))) < LARGE]


@pytest.mark.parametrize("name", SMALL)
def test_a_seed_fixes_the_weights_and_leaves_torchs_own_alone(name: str) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    one, two, other = (get_model(name, seed) for seed in (5, 5, 6))
    assert torch.equal(torch.rand(3), expected)
    weights = [torch.cat([p.flatten() for p in model.parameters()]) for model in (one, two, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_an_unknown_name_is_one_line_that_names_the_others() -> None:
    with pytest.raises(UserError, match="there is no model 'lenet6'; there are: alexnet, alphago, autoencoder"):
        get_model("lenet6")
