"""From a directory to a module that is whole in itself, and its installation."""
