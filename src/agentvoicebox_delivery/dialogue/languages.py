"""Recognises that a line is in another language than English: by its script, or by several common words of one language."""

import unicodedata

from agentvoicebox_delivery.numbers.tokens import clean, words

LEAST_WORDS = 2  # of one language; a single one may be a name or a misheard English word
LEAST_SHARE = 0.4  # of all words
LEAST_LETTERS = 2  # of another script


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Frequent words that English does not have.
_COMMON = (
    _words(
        "ich wo ist mein meine meiner paket sendung nummer das der und nicht bitte danke guten wann kommt es sie"
        " sprechen deutsch habe"
        " hallo ja richtig wie ein eine möchte wissen die lieferung an den wer warum tschüss morgen da"
    ),
    _words(
        "dónde donde está esta mi mis paquete pedido cuándo cuando llega hola quiero saber gracias por"
        " favor habla español el la los"
        " que es número numero sí buenos días tengo una un envío cómo no hablo perdón inglés paquetes señor"
    ),
    _words(
        "où est mon ma colis bonjour je voudrais suivre vous plaît s'il parlez français merci quand arrive"
        " le la les une un numéro oui"
        " ma commande livraison pas c'est parlez-vous excusez-moi ne parle anglais vos votre"
    ),
    _words("dove è il mio pacco ciao buongiorno quando arriva grazie vorrei sapere la mia spedizione numero sì parla italiano"),
    _words("waar is mijn pakket wanneer komt het goedemorgen ik wil graag weten bestelling dank u nummer spreekt nederlands"),
    _words("gdzie jest moja paczka kiedy dzień dobry przesyłka numer proszę dziękuję tak nie mam"),
)  # fmt: skip
_ENGLISH = _words("the my is it a and i you where when what of to in for not yes no please")


def is_foreign(text: str) -> bool:
    """Whether a line is in another language."""
    letters = [c for c in text if c.isalpha()]
    strange = 0 if text.isascii() else sum(not unicodedata.name(c, "").startswith("LATIN") for c in letters)
    if strange >= LEAST_LETTERS and 2 * strange >= len(letters):
        return True
    said = [word.low for word in words(clean(text))]
    if not said:
        return False
    most = max(len(language.intersection(said)) for language in _COMMON)
    english = sum(word in _ENGLISH for word in said)
    return most >= LEAST_WORDS and most > english and most >= LEAST_SHARE * len(set(said))
