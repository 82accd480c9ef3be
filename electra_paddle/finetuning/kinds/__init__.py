"""The kinds of tasks: what a file says, what the network computes, how answers are scored."""
