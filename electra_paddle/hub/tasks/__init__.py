"""The tasks of a module: one class each, with its layers, inputs and answers."""
