"""The vocabulary around numbers that are not tracking numbers: telephone numbers, dates, prices, postcodes, references.

Only tables; `other_numbers` reads them. English, in lower case.
"""

from agentvoicebox_delivery.numbers import lexicon


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TELEPHONE = _words("phone telephone mobile cell cellphone landline tel fax whatsapp contact callback")
CALL_ME = _words("call ring phone text reach contact")
POST_CODE = _words("postcode zip zipcode eircode")
REFERENCE = _words("order invoice reference ref booking confirmation receipt membership loyalty case ticket claim")
# No caller means the tracking number by these.
PERSONAL = _words("card account customer house flat apartment passport insurance licence license pin")
NUMBER = _words("number no num id code")
NAME = _words("name surname")
IS = _words("is was are number's it's")
ON = _words("on from by via over with using through in")
DATED = _words(
    "on since from dated ordered posted sent shipped dispatched bought born birthday birth date until by before after"
)
PAID = _words("paid pay cost costs price priced worth total charged charge")
AFTER_PAID = _words("is was me us about of the for it a around nearly only")
CURRENCY = _words("pound pounds dollar dollars euro euros quid pence cents bucks")
ORDINALS = _words(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth"
    " seventeenth eighteenth nineteenth twentieth thirtieth"
)
MONTHS = (lexicon.MONTHS | {"may"}) - {"of"}
SMALL = lexicon.DIGITS.keys() | lexicon.TEENS.keys() | lexicon.TENS.keys()
SCALES = lexicon.SCALES.keys() | {"point"}
