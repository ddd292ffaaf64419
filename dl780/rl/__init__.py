"""Reinforcement learning: Q-learning from the table to DQN, and tree search."""
