"""What a trained network sees: its answers, its filters and maps, and its dreams, as pictures."""
