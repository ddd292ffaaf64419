"""What a run of alphago leaves: its network, and how it searches."""

from dataclasses import replace
from pathlib import Path

import torch

from dl780 import UserError
from dl780.data import generator_for
from dl780.models.alphago import AlphaGo as Network
from dl780.recipes import AlphaGo
from dl780.rl.alphago.games import Game, game_of
from dl780.rl.alphago.players import Evaluator, Player, searcher, without_noise
from dl780.rl.alphago.search import Settings
from dl780.train import checkpoint
from dl780.train.machine import machine_for
from dl780.train.run import read_recipe


def loaded(run: Path, which: checkpoint.Which = "last", device: str = "auto") -> tuple[AlphaGo, Game, Player]:
    """A run's recipe, its game, and its network with its search as a player. Raises `UserError`."""
    recipe, game, evaluator = network_of(run, which, device)
    return recipe, game, searcher(evaluator, in_earnest(recipe, game))


def network_of(run: Path, which: checkpoint.Which = "last", device: str = "auto") -> tuple[AlphaGo, Game, Evaluator]:
    """A run's recipe, its game, and its network as a search asks it. Raises `UserError`."""
    recipe = read_recipe(run)
    if not isinstance(recipe, AlphaGo):
        raise UserError(f"{run} is a run of {recipe.name}, which plays no board game")
    game = game_of(recipe.game, recipe.size)
    with machine_for(replace(recipe, device=device)) as machine:
        model = network(recipe, game)
        model.load_state_dict(checkpoint.load_weights(run, which))
        return recipe, game, Evaluator(game, model.to(machine.device, machine.dtype), machine)


def network(recipe: AlphaGo, game: Game) -> Network:
    """The recipe's network with the weights of its seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator_for(recipe.seed, "weights").initial_seed())
        return Network(*game.shape, game.moves, recipe.maps, recipe.blocks)


def settings_of(recipe: AlphaGo, game: Game) -> Settings:
    """The recipe's search, as in self-play."""
    return Settings(
        recipe.simulations, recipe.c, recipe.noise, recipe.alpha or 10 / game.moves, recipe.leaves, recipe.rollouts
    )


def in_earnest(recipe: AlphaGo, game: Game) -> Settings:
    """The recipe's search as it is measured: without noise."""
    settings = without_noise(settings_of(recipe, game))
    return replace(settings, simulations=recipe.measured_simulations or recipe.simulations)
