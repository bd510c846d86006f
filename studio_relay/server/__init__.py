"""The server: Quart at the edge, signatures before anything else."""
