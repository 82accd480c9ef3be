"""Make self-contained modules of directories, and install them."""
