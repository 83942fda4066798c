"""Voice names of the OpenAI API, and the voices that replace them here."""

OPENAI_VOICES = (
    "alloy",
    "ash",
    "ballad",
    "cedar",
    "coral",
    "echo",
    "fable",
    "marin",
    "nova",
    "onyx",
    "sage",
    "shimmer",
    "verse",
)  # Realtime and speech API, 2026

SLOWEST = 0.25  # the range of OpenAI's speech API
FASTEST = 2.0


def clamped_speed(speed: float) -> float:
    """`speed` within the supported range; 1.0 if it is not a number."""
    return min(FASTEST, max(SLOWEST, speed)) if speed == speed else 1.0
