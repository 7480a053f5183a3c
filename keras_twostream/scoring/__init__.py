"""A model's answer about videos: scores, predictions, evaluation, metrics."""
