"""What a checkpoint is good for."""
