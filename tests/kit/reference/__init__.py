"""The generated pages of `docs/reference`: `python -m tests.kit.reference` writes them; a unit test compares them with the code.

What a page says about the shape of a thing (names, types, ranges, defaults) is read from the code. What the server does with it
is written beside the generator, one sentence for each name; a name without a sentence, or a sentence without a name, is an error.
"""
