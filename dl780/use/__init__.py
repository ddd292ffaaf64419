"""What a checkpoint is good for: answers, pictures, dreams, texts."""
