"""The sample rates and sample size of audio inside the system. Without NumPy, so that the engine may import it."""

# The rate that recognisers and detectors were trained on; all positions of caller audio count at this rate.
INPUT_RATE_HZ = 16_000
# OpenAI's PCM rate; synthesised audio is transported at it.
OUTPUT_RATE_HZ = 24_000
# Bytes per sample of 16-bit PCM.
PCM_BYTES = 2
