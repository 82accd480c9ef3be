"""What this package does, shown in a few minutes with its own model and reviews: `electra-paddle demo`."""
