"""Schedule, optimizer, loop, checkpoints and monitoring; knows neither ELECTRA nor tasks."""
