"""Audio arithmetic: samples, G.711, sample rates, a bounded ring, WAV files. NumPy and nothing else."""
