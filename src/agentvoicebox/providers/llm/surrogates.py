"""Text whose characters may be cut in half: JSON escapes of UTF-16, as some servers stream them."""

REPLACEMENT = "\ufffd"


class SurrogateJoiner:
    """Joins the halves of a character over pieces of text, and replaces a half that stays alone."""

    def __init__(self) -> None:
        self._half = ""

    def feed(self, text: str) -> str:
        """The text so far that is certain: always valid Unicode. A first half at the end waits for the second."""
        text, self._half = self._half + text, ""
        if text.isascii():
            return text
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return joined(text)

    def flush(self) -> str:
        """What waited, at the end of the stream."""
        waited, self._half = self._half, ""
        return REPLACEMENT if waited else ""


def joined(text: str) -> str:
    """Text without halves: pairs become their character, lone halves REPLACEMENT."""
    if not any("\ud800" <= character <= "\udfff" for character in text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
