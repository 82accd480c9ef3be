"""The way from a corpus to masked batches: documents, packed examples, shards, batches."""
