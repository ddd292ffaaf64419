"""One loop for every supervised model: recipes, tasks, checkpoints, logs."""
