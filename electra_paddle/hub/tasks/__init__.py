"""What a module does: one class a task, with its layers, inputs, answers and its view in the browser."""
