"""Networks: the joint pre-training model, task heads, and the pretrained directory they are kept in."""
