"""The command line: `agentvoicebox serve | call | demo | doctor | models | agents | voices | version`."""
