"""The vocabulary of spoken tracking numbers, and the meaning of each word.

Only tables: `tokens` (word by word) and `spoken` (all together) combine them. A *weak* word is an
everyday word too ("to", "are", "I"); it counts as a character only among others. English.
"""

from agentvoicebox_delivery.numbers import calendar_names


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DIGITS = {
    "zero": "0", "nought": "0", "naught": "0", "nil": "0", "null": "0",
    "one": "1", "two": "2", "three": "3", "four": "4", "five": "5",
    "six": "6", "seven": "7", "eight": "8", "nine": "9",
    "niner": "9", "fife": "5", "fower": "4",
}  # fmt: skip

WEAK_DIGITS = {"to": "2", "too": "2", "for": "4", "fore": "4", "ate": "8", "won": "1", "tree": "3"}

PLURAL_DIGITS = {
    "zeros": "0", "zeroes": "0", "ohs": "0", "noughts": "0", "naughts": "0", "ones": "1", "twos": "2",
    "threes": "3", "fours": "4", "fives": "5", "sixes": "6", "sevens": "7", "eights": "8", "nines": "9",
}  # fmt: skip

TEENS = {
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15,
    "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip

TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50,
    "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip

SCALES = {"hundred": 2, "thousand": 3}  # zeros

MULTIPLIERS = {"double": 2, "triple": 3, "treble": 3, "quadruple": 4}

NATO = {
    "alpha": "A", "alfa": "A", "bravo": "B", "charlie": "C", "delta": "D", "echo": "E", "foxtrot": "F", "golf": "G",
    "hotel": "H", "india": "I", "juliet": "J", "juliett": "J", "juliette": "J", "kilo": "K", "lima": "L", "mike": "M",
    "november": "N", "oscar": "O", "papa": "P", "quebec": "Q", "romeo": "R", "sierra": "S", "tango": "T",
    "uniform": "U", "victor": "V", "whiskey": "W", "whisky": "W", "xray": "X", "yankee": "Y", "zulu": "Z",
}  # fmt: skip

LETTER_NAMES = {
    "bee": "B", "cee": "C", "dee": "D", "eff": "F", "ef": "F", "gee": "G", "aitch": "H", "haitch": "H", "jay": "J",
    "kay": "K", "ell": "L", "em": "M", "pee": "P", "queue": "Q", "cue": "Q", "ar": "R", "ess": "S", "tee": "T",
    "vee": "V", "ex": "X", "wye": "Y", "zee": "Z", "zed": "Z",
}  # fmt: skip

WEAK_LETTERS = {
    "a": "A", "ay": "A", "eh": "A", "be": "B", "see": "C", "sea": "C", "i": "I", "eye": "I", "el": "L", "en": "N",
    "pea": "P", "are": "R", "tea": "T", "you": "U", "yew": "U", "why": "Y",
}  # fmt: skip

# Fillers inside a number; a run continues across them.
SKIPPED = _words(
    "um umm uh uhh er erm hmm hm mm ah like well so then and okay ok dash hyphen space dot point slash stroke "
    "minus underscore capital uppercase upper lowercase lower case big small letter digit number hash hashtag the "
    "following followed by comma right yeah yes"
)

# "no, sorry, five": the last word counts. Longest first.
CORRECTIONS: tuple[tuple[str, ...], ...] = (
    ("let", "me", "start", "again"), ("let", "me", "start", "over"), ("let", "me", "correct", "that"),
    ("scratch", "that"), ("strike", "that"), ("make", "that"), ("i", "mean"), ("i", "meant"), ("or", "rather"),
    ("that's", "wrong"), ("start", "again"), ("start", "over"), ("my", "mistake"),
    ("no",), ("nope",), ("not",), ("sorry",), ("wait",), ("actually",), ("correction",), ("oops",), ("pardon",),
)  # fmt: skip

RESTARTS = frozenset(
    {("let", "me", "start", "again"), ("let", "me", "start", "over"), ("start", "again"), ("start", "over")}
)

# A number word before one of these counts things; before `ONE_MARKERS` it points at something.
COUNTED = _words(
    "day days week weeks month months hour hours minute minutes second seconds sec moment moments time times "
    "parcel parcels package packages item items thing things order orders box boxes people year years o'clock pm "
    "am pound pounds dollar dollars euro euros digits numbers characters letters percent of more"
)
ONE_MARKERS = _words("this that which another other new old every any some only no each right wrong same")
MONTHS = frozenset(name.lower() for name in calendar_names.MONTHS) - {"may"} | {"of"}
POSITIONS = {"last": -1, "final": -1, "first": 1}
CHARACTER_NOUNS = _words("digit digits number numbers character characters letter letters one ones figure figures")

# Short words in capitals, or without a vowel, that are not part of an id.
NOT_LETTERS = _words(
    "ok am pm id eta ups usps dhl dpd gls fedex hermes evri by my try why shh pls thx hmm mm hm hi no yes is it the vs etc"
    " faq asap"
)
# Abbreviations; in capitals directly before digits they are letters of an id ("PC 0001").
ABBREVIATIONS = _words("mr mrs ms dr st uk us usa tv sms gps dvd pc nhs eu")

# Everyday words that may precede digits; any other short word may be letters that a recogniser joined.
EVERYDAY = _words(
    "is was it its it's my me the this that and or of on in at to from with have has had got get here there code "
    "ref id no not yes ok okay hi hey all just only so but be been his her our your their who what when where how "
    "do does did can said say says call can't last next one two ends end it'll oh up out off am are as if we he "
    "she they read says mine also item part"
)

# What recognisers write for a digit in bad audio; digits only where a number was asked for and the plain reading failed.
MISHEARD_DIGITS = {
    "hero": "0", "euro": "0", "nero": "0", "when": "1", "want": "1", "wan": "1", "run": "1", "do": "2", "due": "2",
    "free": "3", "through": "3", "full": "4", "pull": "4", "poor": "4", "or": "4", "door": "4", "fight": "5",
    "hive": "5", "fine": "5", "find": "5", "by": "5", "bye": "5", "life": "5", "sex": "6", "sick": "6", "sixth": "6",
    "fix": "6", "ticks": "6", "heaven": "7", "seventh": "7", "even": "7", "ape": "8", "age": "8", "hate": "8",
    "eat": "8", "aid": "8", "raid": "8", "paid": "8", "night": "9", "mine": "9", "dine": "9", "line": "9",
    "ine": "9", "nigh": "9", "none": "9",
}  # fmt: skip

# Said before and after a number, never in it.
AROUND_A_NUMBER = (
    EVERYDAY | SKIPPED | NOT_LETTERS
    | _words(
        "i i'm i've you a an are see be why tracking number my yes yeah sure thanks thank said told think wrong sorry wait that's"
        " parcel package order again please hello ending phone telephone mobile postcode"
    )
)  # fmt: skip
