"""Every network by name: the same weights for the same seed, and nobody else's random numbers."""

import pytest
import torch

from dl780 import UserError
from dl780.models import get_model, list_models


@pytest.mark.parametrize("name", list_models())
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
    with pytest.raises(UserError, match="there is no model 'lenet6'; there are: autoencoder, lenet5"):
        get_model("lenet6")
