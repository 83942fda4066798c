"""Records of calls and webhook requests, one line of JSON each, complete enough to be replayed and scored."""
