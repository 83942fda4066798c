"""Voice names: what callers of the OpenAI API ask for, and what stands for it here."""

OPENAI_VOICES = (
    "alloy",
    "ash",
    "ballad",
    "cedar",
    "coral",
    "echo",
    "marin",
    "sage",
    "shimmer",
    "verse",
)  # Realtime API, 2026

SLOWEST = 0.25  # the range of OpenAI's speech API
FASTEST = 2.0


def clamped_speed(speed: float) -> float:
    """`speed` within what engines are asked for; 1.0 for no number."""
    return min(FASTEST, max(SLOWEST, speed)) if speed == speed else 1.0
