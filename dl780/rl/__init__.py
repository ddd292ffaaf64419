"""Learning to act: Q-learning from the table to DQN, games, and search over them."""
