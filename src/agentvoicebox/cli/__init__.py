"""The command line `agentvoicebox`, one file for each group of commands."""
