"""A store as a whole: a folder of shards and a manifest, made from a dataset, checked, read."""
