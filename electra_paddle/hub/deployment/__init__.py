"""A module's network as files of other engines, and those engines."""
