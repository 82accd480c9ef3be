"""The tasks of a module: one class each, with its layers, inputs, answers and its view in the browser."""
