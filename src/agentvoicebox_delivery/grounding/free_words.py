"""Clauses that carry no fact, in any wording: sympathy, small talk, questions, advice, and what the agent can't know or do.

A clause is free when it has one of these forms and no word of a closed class: numbers, days, times of day, names that aren't the
parcel's own, statements about a parcel. Everything else is left to `claims`, where each word has to be accounted for.
"""

import re
from collections.abc import Sequence

from agentvoicebox_delivery.grounding.folding import COUNTS, DIGITS, FoldedToken


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _words(text: str) -> str:
    return "|".join(sorted(text.split(), key=len, reverse=True))


def _form(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?:{_LEAD})*(?:{pattern})")


# Numbers besides those of a tracking number. "one" is a pronoun more often than a digit.
_NUMBERS = (set(COUNTS) | set(DIGITS) | _listed(
    "dozen half quarter both all neither none nobody everything nothing everyone"
)) - {
    "a", "an", "one", "oh",
}  # fmt: skip
# Times, money and promises; in no free clause but one that says what isn't known.
_CLOSED = _listed(
    "morning noon midday afternoon evening night midnight tonight week weeks weekend month months hour hours minute "
    "minutes january february march april june july august september october november december christmas easter "
    "holidays soon shortly recently already yet yesterday tomorrow monday tuesday wednesday thursday friday "
    "saturday sunday euro euros pound pounds dollar dollars cent cents free paid cash guarantee guaranteed promise "
    "definitely certain"
)
# Things and people in the world: a remark that names one is a remark about the parcel's fate.
_WORLD = _listed(
    "driver drivers courier van truck lorry plane ship depot warehouse hub facility airport station office "
    "neighbour neighbours neighbor neighbors porch door doorstep letterbox mailbox reception address weather snow "
    "storm strike traffic accident volume customs label payment duty fee fees charge charges tax vat refund voucher "
    "compensation claim case ticket investigation complaint supervisor manager colleague colleagues team text sms "
    "hotline website signature signed recipient sender damage damaged lost stolen missing broken opened torn "
    "delivered delivery delivering deliver arrived arriving arrive arrives returned return sent cancelled refused "
    "cleared shipped dispatched collected scanned loaded parcel package order shipment item track schedule safe "
    "route transit doorbell they them he she someone somebody"
)
_FEELINGS = _words(
    "frustrating annoying convenient upsetting stressful disappointing worrying inconvenient unsatisfying"
    " hard difficult unpleasant fair"
    " important hassle nuisance handy easier understandable odd strange long bad pain tough rough unfortunate"
)

_LEAD = (
    r"(?:[,.]|and|but|so|well|oh(?: no| dear)?|hmm|um|uh|ah|okay|ok|alright|honestly|really"
    r"|truly|look|listen|again|please"
    r"|of course|unfortunately|sadly|hello|hi|hey|there(?= [,.])|i am afraid|i am (?:so "
    r"|very |really |truly )?sorry(?: that(?= i))?|sorry(?: about that)?"
    r"|my apologies|perhaps|maybe|then|great|good|fair|that is a (?:good|great|fair) question"
    r"|thank you|thanks|uh oh|though|no(?= worries| problem)"
    r"|(?:that is )?(?:a |an )?(?:good|great|fair|excellent) (?:question|idea|point)|i (?:completely "
    r"|totally |fully )?understand"
    r"|i wish i (?:could|knew)|i get it|i hear you|if (?:\w+ ){1,9}?,) ?"
)

_NOT_ABLE = (
    r"(?:i|we) (?:still |also |just |really |simply |only )*(?:can not|could not|do not"
    r"|did not|am not able to|am unable to|was not able to"
    r"|are not able to|am not (?:allowed|in a position) to|would not be able to|have no|am just not able to)"
)
# What no result ever holds. The agent may always say that it doesn't know or can't do these.
_UNKNOWABLE = _words(
    "reason reasons why cause caused who whom signed signature sender recipient hour window"
    " slot time times details detail refund refunds"
    " fee fees charge charges charged duties customs_fee happened wrong left accepted received"
    " long deadline kept storage neighbour neighbours"
    " transfer connect person human change address arrange reschedule redeliver redelivery"
    " map live exact exactly exact_location"
    " precise precisely guarantee promise speed faster payments anything_else more from"
    " morning name contents weight specific left put"
)
_UNKNOWABLE_FORM = re.compile(rf"\b(?:{_UNKNOWABLE})\b")
# What a result may hold: whether it is unknown is for `judgement` to say.
_KNOWABLE = re.compile(
    r"\b(?:eta|arrival|date|day|carrier|status|find|found|locate|look up|pull up|parcels?"
    r"|packages?|match|number|reach|access|scan|scanned"
    r"|delivery (?:day|date)|estimate[ds]?)\b|\bwhen it (?:will|is)\b"
)
_UNABLE = _form(
    rf"{_NOT_ABLE}|(?:i|we) only (?:see|have|know)|(?:i|we) can only (?:look up|tell you about)"
    r"|no idea|there is no (?:reason|cause|explanation|information about why)"
    r"|(?:the (?:tracking|system)(?: information)?|it) (?:does not|only|just) (?:show|say"
    r"|says|tell|tells|give|go|mention|offer)s?"
    r"|no (?:reason|cause|explanation|details?) (?:is|are|was|were) (?:given|shown|stated|listed|mentioned|there)"
    r"|the (?:reason|cause|nature|name|sender|time|details?)\b(?: (?!is|are|was)\w+){0,6} (?:is"
    r"|are|was) (?:just )?not"
    r"|information (?:about|on) |(?:a|the) (?:specific|exact|precise) (?:time|time slot"
    r"|slot|hour)(?: \w+){0,2} is not"
    r"|(?:refunds|payments|complaints|claims) (?:are|is) (?:outside|not)|that is not something"
    r"|i do not have (?:any )?(?:details|information)"
)

_HELPER = (
    r"(?:CARRIER|the (?:carrier|courier|sender|shop|seller|store|retailer)|they)(?: s)?"
    r"(?: customer service)?(?: or the sender)?"
)
_ADVICE = _form(
    r"(?:please |kindly |just |simply |you (?:can|could|may|might|should|would|will)(?: also"
    r"| always| need to| have to| want to| wish to| like to)*"
    r"|i would (?:suggest|recommend|advise)?(?: that)?(?: you)?|i (?:suggest|recommend|advise)(?: that you)?"
    r"|i would|it (?:is|might be|may be|would be|could be)"
    r" (?:probably )?(?:best|worth|a good idea|better)(?: to)?|best to|so it is best to"
    r"|maybe|try|did you|have you|could you|would you|can you)"
    r"(?: (?:also|please|just|try|try to|to|mind|get|getting|want|like))* ?"
    r"(?:check\w*|ask\w*|contact\w*|call\w*|try\w*|get in touch|getting in touch|reach(?:ing)? out"
    r"|report\w*|verify|keep an eye on the tracking|have another|trying|checking"
    r"|(?:read|repeat|say|spell|tell|give|provide|share)\w*(?= (?:me|us|it|that|your|the (?:number|whole|rest|last|full"
    r"|tracking|digits)))|go(?: ahead| on| over)?|take your time|keep in mind|let me know|hold on|wait(?! (?:at|in))"
    r"|bear with|double check|speak|turn to|in touch|pop over)\b"
    rf"|{_HELPER} (?:may|might|can|could|should|would|will)(?: also| probably| certainly"
    r"| surely)? (?:be (?:able to|the (?:one|right place|best place)|happy to)"
    r"|help|tell|know|assist|have more|investigate|offer|look into)"
    rf"|{_HELPER}(?: , they)? (?:is|are|would be) the (?:right|best)? ?(?:place|one|people)(?: to ask)?"
    r"|you would (?:have|need) to|the (?:best|right) place to ask|the (?:shop|seller|sender)(?: you ordered(?: it)? from"
    r"| that sent it)? (?:would|might|may|can|could) (?:be|help|know|tell|give)\b"
)

_SYMPATHY = _form(
    r"(?:i|we)(?: (?:do|really|truly|sincerely|completely|totally|fully|certainly|honestly|can|also|just|only))* "
    r"(?:understand|get|hear|know|wish|hope|appreciate|apologi[sz]e|feel|imagine|agree|realise"
    r"|realize|see (?:how|why)|would(?: really| also)?"
    r" (?:love|feel|be|hate|like|do)|do not want|am (?:so |very |really |truly |just |doing |feeling |here|pretty )*"
    r"(?:sorry|glad|happy|delighted|pleased|well|great|good|fine|here|an?|not a|aware|listening|all ears))\b"
    r"|(?:that|this|it)(?: really| just)? (?:must be|must have been|is|sounds|has to be"
    r"|must feel|can be)(?: (?:so|very|really|quite|a|an|way|too|just|truly|such))*"
    rf" (?:{_FEELINGS}|question)\b|you (?:have every right|are right to be|must be)|your (?:frustration"
    r"|patience|time)"
    r"|(?:please )?accept|thank(?:s| you)|you are (?:so |very |most )?welcome|my pleasure"
    r"|it was my pleasure|no (?:worries|problem)|any ?time|happy"
    r"|waiting is (?:never|no|not|hard|always)|stay|enjoy (?:your|the)|have an?|take care|take your time|do not (?:worry"
    r"|hesitate)|feel free|pretty good|not (?:too )?bad"
    r"|shall we|let us (?:see|find|track|get|give|have|go|try|take)|i am (?:pretty|quite) good at"
    r"|let me (?:know|think|see(?= [,.])|just double check that|double check that|just double check that|read that back)"
    r"|talk to you|glad|bye|goodbye|see you(?= [,.])|oops|sorry|apologies|your (?:frustration"
    r"|patience)"
    rf"|(?:that|this) (?:is|was) (?:a |an )?(?:really |very |totally |entirely )?(?:{_FEELINGS})"
    r"|(?:good|best) of luck|fingers crossed|welcome|is there anything|what can i"
)
_QUESTION = _form(
    r"(?:could|can|would|will|may|might|shall|should|do|does|did|have|has|is|are|was|were"
    r"|am|what|which|where|when|who|how|why|any|anything|shall"
    r"|and|want|need|where did)\b"
)
_STATES_SOMETHING = re.compile(
    r"\b(?:because|since|due to|as the|so that it|which (?:is|was|has|will)|i found out"
    r"|turns out|given that|now that|after the|before the)\b"
)
_IT_IS = re.compile(
    r"\b(?:it|this|that|they|he|she) (?:is|was|has|had|will|would|should|can|may|might|must"
    r"|got|did|does|came|went|arrive\w*|left)\b"
    r"(?! (?:be |been |have been )?(?:(?:so|very|really|quite|a|an|too|just|such|more|be"
    rf"|not what) )*(?:{_FEELINGS}|you|question|best|probably best|better|worth|good idea"
    r"|up to))"
)
_PROMISE = re.compile(
    r"\b(?:i|we|somebody|someone|they) (?:will|shall|am going to|are going to|have (?:asked"
    r"|told|made|opened|flagged|filed|reported|sent|updated"
    r"|arranged|changed|noted|informed|escalated|started|put|booked|set|passed|notified"
    r"|requested)|am (?:\w+ing)|are (?:\w+ing)|just \w+ed)\b"
)
# Deeds that no agent of this kind does, in an offer.
_STRANGE_OFFER = re.compile(
    r"\b(?:(?:shall|should|can|could|may) (?:i|we)|me to) (?!(?:just |also |quickly |please )*(?:check"
    r"|look|try|find|track|help|read|repeat"
    r"|say|spell|tell|have|get|ask you|do for you|assist|double check|be|see|know|i)\b)"
    r"|\b(?:did|do|have) you (?:know|hear|heard|notice|noticed|realise|realize)\b|\byour refund\b"
)
# What is not to be asked for on this line, and ways to send a caller elsewhere.
_FORBIDDEN = _listed(
    "card password pin cvv bank iban passport birthday birth http https www com net org @ $ € £ % home credit debit "
    "social"
)
# Fates that no free words may presume, in a question or a limit either; and deeds of somebody ("the neighbour who took it").
_PRESUMED = re.compile(
    r"\b(?:damaged|lost|stolen|stole|broken|opened|destroyed|torn|seized|crashed|missing|hotline"
    r"|wrong (?:house|address|place|person|door))\b"
    r"|\bwho (?:took|has|got|opened|received it for|carries|delivers|handles"
    r"|brings|is (?:carrying|delivering|handling|bringing))\b"
)
_ASSENTING = _listed("of okay ok alright great good fine lovely perfect sure no yes")
_PRAISE = re.compile(
    r"(?:(?:oh|well|hmm|that is|a|an|,) )*(?:good|great|fair|excellent) (?:question|point"
    r"|thinking|timing)(?: to ask)?(?: [.,])*"
    r"|(?:and )?happy holidays(?: [.,])*|(?:cool|okay|great|perfect) , got it(?: so far)?(?: [.,])*"
    r"|got it so far(?: [.,])*"
)
# Sympathy that no one takes for a yes or a no.
_FEELING_FOR = _form(
    r"(?:i|we) (?:do |really |truly |completely |totally |fully |certainly |can |also |just )*(?:understand"
    r"|get (?:why|that|how|it)|hear you|know (?:you|how|this|that"
    r"|it)|wish|appreciate|apologi[sz]e|feel|imagine|would (?:really |also )?(?:love|feel|like))"
    rf"|(?:that|this|it)(?: really| just)? (?:must be|sounds)(?: \w+)? (?:{_FEELINGS})|your frustration"
    r"|thank(?:s| you) for|sorry to hear|(?:i|we) am (?:pretty|quite) good at|you (?:have every right"
    r"|are right to be)"
)
# Words that would look like a closed class, or like a remark about the parcel, and are neither.
_ASIDE = re.compile(
    r"\b(?:it|that) (?:would|d) be more (?=convenient)|"
    r"\bas soon as (?:you can|possible|you have it)\b|\ball (?=i (?:have|see|know|need|would need)\b)"
    r"|\bhow \w+ (?:that|this|it) (?:is|must be)\b"
    r"|\b(?:, )?they (?:can|may|might|could|should|will)(?: be able to)? (?:help|investigate"
    r"|tell|know|assist|look)\b(?: you)?(?: more)?"
    r"|\bif (?:it|you|that) (?:does not|do not|still|can not|can|would)(?: \w+){1,6} ,"
)
_HOPED = re.compile(
    r"(?:(?:i am sorry|sorry|,|but|and) )*i (?:know|understand|realise|realize|see) (?:that )?you (?:were"
    r"|are|had been) (?:hoping|waiting|expecting)(?: it)?(?: for)?(?: DAY)?(?: [.,])*"
)
_ENJOY = re.compile(
    r"(?:and )?enjoy (?:your|the) (?:parcel|package|order|day|evening|rest of (?:your|the) day)(?: when it (?:gets there"
    r"|arrives|comes))?(?: , and)?(?: have an? (?:\w+ )?(?:day|evening|one|weekend))?(?: [.,])*"
)
# In sympathy: what may be named, and how a sentence goes on after a pause.
_NAMEABLE = _listed(
    "reason reasons number numbers wait waiting delay inconvenience trouble confusion mix misunderstanding question day days "
    "evening time details rest way same frustration best lot bit long great nice lovely good wonderful pleasant "
    "bad better worse moment while little hassle nuisance pain shame pleasure pity matter feeling situation "
    "answer news idea thing person assistant human virtual tracking full whole really very busy parcel stressful "
    "annoying frustrating difficult hard tough rough quick other next new"
)
_NO_NOUNS = _listed("is was must has sounds really can will would feels up and out for about very you i")
_NOUN = re.compile(r"\b(?:the|an?|my|our|their|his|her|its|some|no|this|that) (\w+)")
_GOES_ON = re.compile(
    r"(?:for|about|to|that (?:i|you)|if|when|especially|with|how|why|so|too|again|please|really|as|then|and|but)\b|$"
)
_YOU_WILL = re.compile(
    r"\byou (?:will|shall|are going to|have been|were|get|got|receive|are getting"
    r"|did|do not (?:have|need) to|can (?:have|get|expect|keep))\b(?! (?:hoping|waiting))"
)
_IT_DOES = re.compile(r"\b(?:it|they) (?!is|helps|works for you|was|has)\w+(?:s|ed)\b")
_THANKS_FOR_A_DEED = re.compile(
    r"\bthank(?:s| you) for (?!calling|waiting|holding|asking|checking|confirming"
    r"|bearing|letting|being|giving|sharing|reaching|getting|understanding|providing)"
    r"\w+ing\b"
)
_PAUSE = re.compile(r" (?:,|but|and|\.) ?")


def _is_sympathy(text: str) -> bool:
    """Whether all of a text is sympathy or courtesy: each part of it by itself, and nothing in it that acts."""
    if (
        _IT_IS.search(text)
        or _IT_DOES.search(text)
        or _THANKS_FOR_A_DEED.search(text)
        or _YOU_WILL.search(text)
        or any(each in _WORLD for each in text.split())
    ):
        return False
    for part in map(str.strip, _PAUSE.split(text)):
        if not (_SYMPATHY.match(part) or _GOES_ON.match(part) or _ADVICE.match(part) or _LEADS.fullmatch(part)):
            return False
    nouns = _NOUN.findall(text)
    return all(noun in _NAMEABLE or noun in _NO_NOUNS or re.fullmatch(_FEELINGS, noun) for noun in nouns)


_LEADS = re.compile(rf"(?:{_LEAD})*")
_KEPT = re.compile(r"\bi am (?:seeing|having|looking at|not seeing|doing|feeling|listening|wondering|hoping)\b")


# Limits that hold for every parcel.
_ALWAYS_TRUE = _form(
    r"(?:i|we) (?:can|could) only (?:see the (?:last scan|status|date|day)|look up (?:where"
    r"|the status)|tell you (?:about its status|where))\b"
    r"|(?:i|we) only (?:have|see) (?:the|a) (?:day|date)\b|(?:(?:all )?i have is|it is just) (?:the|a) date\b"
    rf"|{_NOT_ABLE} (?:(?:tell you|say|see|know) (?:exactly|its exact)|see it on|have a live|tell you exactly) ?"
    r"|(?:i am|this is) (?:an?|the|just an?|only an?)(?: (?:automated|virtual|digital|voice"
    r"|ai))* (?:assistant|system|agent)"
    r"|i can (?:look up a parcel|tell you where a parcel is)(?: for you)?|i can not put you through|(?:all )?i have is the date"
    r"|i can not change the delivery|i can not (?:say|tell you) anything"
    r"|i (?:can )?only give you the (?:day|date)"
    r"|where it is at this very moment|i only speak english|(?:i can only help you|i only speak) in english"
    r"|my german is not"
    r"|estimates can change|i can not (?:say|tell(?: you)?|know)(?: (?:that|this))? without (?:the"
    r"|a|your) (?:tracking )?number"
    r"|(?:this|that) is (?:only |just )?an estimate|please keep in mind|i do not see that\b|i can not see that\b"
)


def is_free(tokens: Sequence[FoldedToken], *, carrier: str = "", is_asked: bool = False) -> bool:
    """Whether a clause carries no fact.

    Args:
        tokens: of the clause, folded.
        carrier: the normalised name that advice may mention.
        is_asked: whether the caller has asked a yes-or-no question, to which a pleasantry would be an answer.
    """
    texts = [token.text for token in tokens]
    text = _ASIDE.sub("", " ".join(texts))
    if _PRAISE.fullmatch(text) or _HOPED.fullmatch(text):
        return True
    texts = text.split()
    if any(mark in texts for mark in ("PLACE", "AGE", "ID")) or any(
        token.name and token.name != carrier for token in tokens
    ):
        return False
    if _has_name(tokens) or any(any(c.isdigit() for c in each) for each in texts):
        return False
    if _FORBIDDEN.intersection(texts) or _STRANGE_OFFER.search(text) or _PRESUMED.search(text):
        return False
    if is_asked and texts and (texts[0] in _ASSENTING or text.startswith("i would say")):
        return False
    is_question = texts[-1:] == ["?"]
    if _PROMISE.search(_KEPT.sub(" ", text)) or _STATES_SOMETHING.search(text):
        return False
    is_closed = any(each in _CLOSED or each in _NUMBERS or each == "DAY" for each in texts)
    if "DAY" not in texts and not is_closed and _ALWAYS_TRUE.match(text) and " but " not in text:
        return True
    if match := _UNABLE.match(text):
        topic = text[match.end() :]
        is_known = _KNOWABLE.search(topic) is not None and not _UNKNOWABLE_FORM.search(text)
        return "DAY" not in texts and not is_known and bool(_UNKNOWABLE_FORM.search(text)) and " but " not in topic
    if is_closed:
        return False
    if _ADVICE.match(text):
        return _IT_IS.search(text) is None
    if "CARRIER" in texts:
        return False
    if is_question and _QUESTION.match(text):
        return True
    if is_asked and not _FEELING_FOR.match(text):
        return False
    if _ENJOY.match(text):
        return True
    return _SYMPATHY.match(text) is not None and _is_sympathy(text)


def _has_name(tokens: Sequence[FoldedToken]) -> bool:
    """Whether a word inside the clause is written as a name."""
    return any(
        token.is_capital
        and token.text not in ("i", "CARRIER", "DAY", "english", "german", "eta")
        and place > 0
        and tokens[place - 1].text not in (".", "?", ",")
        for place, token in enumerate(tokens)
    )
