"""The command line of the gateway: an edge of its own that speaks HTTP to the admin API and knows nothing else."""
