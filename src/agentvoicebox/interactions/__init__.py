"""What happened, kept: each call and each webhook request as one line of JSON, fit to be replayed and scored."""
