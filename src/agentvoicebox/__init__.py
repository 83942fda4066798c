"""AgentVoiceBox: the voice agent server that a team can run itself."""

__version__ = "0.1.0"
