"""Fine-tuning: task descriptions, readers, training and reports."""
