"""Learning to act: games, and search over them."""
