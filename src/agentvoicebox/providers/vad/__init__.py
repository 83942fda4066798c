"""Who is speaking, and has he finished: models behind the Vad and EndOfTurn ports."""
