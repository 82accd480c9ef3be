"""PaddleHub modules: the class they all share, and the export of a pretrained directory as one."""
