"""Joint pre-training of generator and discriminator, from shards to pretrained directories.

`job` gathers what a run works with and refuses what does not fit, `run` trains, `reports` evaluates and shows,
`objectives` says what is learned, `dry_run` and `cost` reckon what a run would take.
"""
