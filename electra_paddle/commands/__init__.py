"""The commands: each module has DESCRIPTION, add_arguments(parser) and run(arguments)."""
