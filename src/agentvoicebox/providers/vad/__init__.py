"""Voice activity and end of turn: models behind the Vad and EndOfTurn ports."""
