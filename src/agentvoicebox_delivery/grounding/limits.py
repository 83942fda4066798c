"""Forms of what the agent can't know or do, and topics that no result holds. Only tables, read by `free_words`."""

import re

from agentvoicebox_delivery.grounding.vocabulary import UNKNOWABLE, any_of


def form(pattern: str) -> re.Pattern[str]:
    """A pattern of a whole form, after any words that lead to it."""
    return re.compile(rf"(?:{LEAD})*(?:{pattern})")


LEAD = (
    r"(?:[,.]|and|but|so|well|oh(?: no| dear| boy)?|hmm|um|uh|ah|aw|ugh|wow|phew|yeah|okay|ok|alright|honestly"
    r"|really|right(?= ,)"
    r"|truly|look|listen|again|please"
    r"|of course|unfortunately|sadly|hello|hi|hey|there(?= [,.])|i am afraid|i am (?:so "
    r"|very |really |truly )?sorry(?: that(?= i))?|sorry(?: about that)?"
    r"|my apologies|i regret(?: to say)?(?: that)?|regrettably|perhaps|maybe|then|great|good|fair|that is a (?:good"
    r"|great|fair) question"
    r"|as things (?:stand|are)|as far as i (?:know|can tell|can see)|for (?:the|more|further|any)(?: (?:more|other"
    r"|exact))? (?:details?|information|that)"
    r"|if (?:not|so)|after that|from there|failing that|on the day(?: itself)?|to be on the safe side"
    r"|in the meantime|on that|as for that"
    r"|not to worry|(?:since|as|because)(?= (?:no|there is no|it does not|the (?:tracking|system) does not|i (?:can"
    r"|do) not|i can only|they have not))"
    r"|thank you|thanks|uh oh|though|in that case|otherwise|for that|to be honest|frankly|no(?= worries| problem)"
    r"|(?:that is )?(?:a |an )?(?:good|great|fair|excellent) (?:question|idea|point)|i (?:completely "
    r"|totally |fully )?understand"
    r"|i wish i (?:could|knew)|i get it|i hear you|if (?:\w+ ){1,9}?,) ?"
)
NOT_ABLE = (
    r"(?:i|we) (?:still |also |just |really |simply |only )*(?:can not|could not|do not"
    r"|did not|am not able to|am unable to|was not able to"
    r"|are not able to|am not (?:allowed|in a position) to|would not be able to|have no|am just not able to"
    r"|wish i had)"
)
UNKNOWABLE_FORM = re.compile(rf"\b(?:{UNKNOWABLE})\b")
# What a result may hold: whether it is unknown is for `judgement` to say.
KNOWABLE = re.compile(
    r"\b(?:eta|arrival|date|day|carrier|status|find|found|locate|look up|pull up|parcels?"
    r"|packages?|match|number|reach|access|scan|scanned"
    r"|delivery (?:day|date)|estimate[ds]?)\b|\bwhen it (?:will|is)\b"
)
SELLER = (
    r"(?:sender|shop|store|seller|retailer|merchant|company|business|website)"
    r"(?: (?:that|who) (?:sent|sold|shipped) (?:it|you (?:this|it))| (?:that |where )?you (?:ordered|bought"
    r"|purchased|got)"
    r"(?: (?:it|this|that|the item))?(?: (?:from|with|through))?)?"
)
HELPER = (
    rf"(?:CARRIER|the (?:carrier|courier|{SELLER})|your (?:seller|shop|sender)|whoever sent it|they)(?: s)?"
    r"(?: (?:customer )?(?:service|support|helpline)(?: team)?| directly| themselves| itself)?"
    r"(?:,? or (?:the sender|the seller|the shop|CARRIER))?"
)
TRACKING = (
    r"(?:(?:the|my|our|this|CARRIER s) )?(?:(?:tracking|delivery|parcel|latest|available|carrier s) )*(?:tracking"
    r"|system"
    r"|information|update|updates|data|details?|record|records|page|status|screen)(?: (?:i (?:have|see|can see|get"
    r"|am looking at)"
    r"|here|available))?"
)
A_TOPIC = (
    r"(?:(?:specific|exact|precise|particular|further|other|additional|more|clear|signature|sender|delivery|contact"
    r"|customs|collection|pickup) )*"
    r"(?:reason|reasons|cause|explanation|details?|nature|name|names|time|times|time slot|hour|window|time window"
    r"|time frame"
    r"|timeframe|(?:recipient|sender|signatory|addressee)(?: s)? (?:name|identity|details)|sender|cut off(?: date"
    r"| time)?|collection date|deadline|signature|fees?|charges?|contents|weight|information about \w+)"
)
GIVEN = (
    r"(?:given|shown|stated|listed|mentioned|there|provided|included|specified|recorded|available|noted|displayed"
    r"|visible|communicated|explained|published|known"
    r"|in there|part of it|part of what i (?:can )?see|something i can see)"
)
UNABLE = form(
    rf"{NOT_ABLE}|(?:i|we) only (?:see|have|know)|(?:i|we) can only (?:look up|tell you about)"
    r"|no idea|i am not (?:quite |really |entirely |exactly )?(?:sure|certain|able)|i have no (?:way|idea"
    r"|information|details)"
    r"|there is no (?:reason|cause|explanation|information about why)|(?:there is|i (?:have|see)) nothing (?:here "
    r"|in there )?about"
    rf"|i am not (?:the|a) (?:right|best|good) (?:one|person|place|agent)"
    rf"|(?:{TRACKING}|it|CARRIER|they) (?:does not|did not|do not|only|just|will not) (?:actually |really "
    r"|quite )?(?:show|say"
    r"|says|tell|tells|give|go|mention|offer|include|specify|list|provide|contain|have|indicate|record|explain|cover"
    r"|share|narrow"
    r"|state|reveal|name|break)s?"
    rf"|(?:{HELPER}|the sender) (?:has|have) not (?:said|given|provided|shared|explained|recorded|specified|stated"
    r"|told (?:us|me)|mentioned)"
    rf"(?: (?:any|a|the|us|me))* (?=why|what|how|{A_TOPIC})"
    r"|(?:there is|i (?:see|have)|the tracking has) (?:nothing|no mention|no word|no information|no details?"
    r"|no record)(?: (?:here|in|on|about|of|there|the|tracking"
    r"|system|for))* (?=who|why|how|what)"
    rf"|i do not have (?:any |much |an? )*(?:insight|visibility|view|details?|information|access|knowledge|sight|way"
    r"|record)(?: (?:into|on|of|to|about|over))*"
    r"|(?:that|this) (?:level|kind|sort|amount) of (?:detail|information) (?:is|are) not"
    r"|(?:who (?:sent|signed for|accepted|took|received) it|why(?: it is \w+)?|what (?:happened|caused it"
    r"|caused the delay|went wrong)) (?:is|are) not"
    r" (?:something|shown|given|recorded|listed|in|visible|known)"
    rf"|(?:there is |i (?:see|have) )?no {A_TOPIC} (?:is |was |are |has been )?{GIVEN}"
    r"|no (?:exact |specific )?(?:time|time slot|hour|window|reason|explanation|name|signature|details|deadline"
    r"|sender)(?: given| shown| listed)?(?: [,.]|$)"
    rf"|no {A_TOPIC}(?: (?:for|of|behind) (?:it|that|this|the (?:delay|problem|return|cancellation|issue)))?"
    rf" (?:is|are|was|were|has been|have been) {GIVEN}"
    rf"|(?:the |a |any )?{A_TOPIC}\b(?: (?!is|are|was)\w+){{0,6}} (?:is|are|was|has|have) (?:just )?(?:not|never)"
    r"|information (?:about|on) |(?:a|the) (?:specific|exact|precise) (?:time|time slot"
    r"|slot|hour)(?: \w+){0,2} is not"
    r"|(?:refunds|payments|complaints|claims) (?:are|is) (?:outside|not)|(?:that|this|it) is not something"
    r"|i do not have (?:any )?(?:details|information)|i do not have (?:the|any) (?:ability|means|option|way)"
)
# Topics that say nothing of what is missing: of a day or a carrier they are no limit ("no details on the date").
VAGUE = any_of(
    "details detail more from exact exactly precise precisely specific left name long change put "
    "happened live map wrong insight"
)
PLAINLY_UNKNOWABLE = re.compile(rf"\b(?!(?:{VAGUE})\b)(?:{UNKNOWABLE})\b")
NOTHING_FOUND = re.compile(
    r"\b(?:find|locate|pull up|see)(?: (?:any|anything|a|details?|information|more"
    r"|match\w*))+ (?:for|under|with|about) (?:it|that|this|the|your)(?: \w+)?\b"
)
# A limit without its topic, which is the caller's question.
BARE_LIMIT = re.compile(
    rf"(?:{LEAD})*(?:(?:i am )?not (?:quite |really |entirely )?(?:sure|certain)|no idea|no clue|i have no (?:idea"
    r"|clue)"
    r"|(?:that , )?i (?:really |honestly |just |still )*do not know|i wish i knew|if only i knew"
    r"|that is not something (?:the (?:tracking|system)|it) (?:shows|says|tells me)"
    r"|that is the one thing i (?:can not|do not) (?:see|know|have)|i could not say"
    r"|i could not tell you|i can not (?:say|tell(?: you)?|see(?: that)?|tell from here)|hard to say"
    r"|it is hard to say|(?:that|this|it) is not (?:shown|listed|given|included|in|there|available|visible"
    r"|something i (?:can see|have|know))(?: (?:in|on|to|here|me|the|my|tracking|system|side|end|screen))*"
    r"|it does not say"
    r"|(?:the )?(?:tracking|system|it) (?:does not|did not) (?:say|tell me|show(?: me)?(?: that)?|mention (?:it|that)"
    r"|go into (?:detail|details|that)|(?:say|explain) what(?: it (?:is|was))?)|but not (?:why|how|who|what kind"
    r"|when exactly|what exactly))"
    r"(?: (?:which|why|yet|that|for sure|for certain|from here|unfortunately|though|what it is|exactly|either"
    r"|what kind"
    r"|myself|[,.]|sorry|i am afraid|i am sorry))*"
)
LEADS = re.compile(rf"(?:{LEAD})*")
# Said where the results hold the answer, this would deny them.
NOT_KNOWN = re.compile(r"\b(?:wish i knew|if only i knew)\b")
MAY_CHANGE = (
    r"(?:that|this|it|these|they|(?:the |this |these |any |all )?(?:(?:delivery|arrival|current) )?(?:estimates?"
    r"|dates?|times?|schedules?))"
    r" (?:(?:(?:is|are) (?:only |just |always |of course )*(?:an )?(?:estimates?|estimated"
    r"|approximate)(?: [,]?and)?)? ?"
    r"(?:(?:can|could|may|might)(?: (?:still|always|of course|sometimes|well|also))*"
    r" (?:change|shift|move(?! on)|vary|be updated)(?: (?:a little|a bit|slightly|sometimes|though|at times"
    r"|if anything changes))*)?)"
    r"(?: [,.]+|$)+$"
)
# Limits that hold for every parcel.
ALWAYS_TRUE = form(
    r"(?:the )?(?:tracking|system) only (?:tells|shows)(?: me)? where it is and when it should (?:arrive"
    r"|come)(?: [,.]|$)|"
    r"(?:i|we) (?:can|could) only (?:see the (?:last scan|status|date|day)|look up (?:where"
    r"|the status)|tell you (?:about its status|where))\b"
    r"|(?:i|we) (?:have )?only (?:have|see|got) (?:the|a) (?:day|date)\b|i am only able to look things up(?: [,.]|$)"
    r"|(?:(?:all )?i have is|it is just) (?:the|a) date\b"
    rf"|{NOT_ABLE} (?:(?:tell you|say|see|know) (?:exactly|its exact)|see it on|have a live|tell you exactly) ?"
    r"|(?:i am|this is) (?:an?|the|just an?|only an?)(?: (?:automated|virtual|digital|voice"
    r"|ai))* (?:assistant|system|agent)"
    r"|i can (?:look up a parcel|tell you where a parcel is)(?: for you)?|i can not put you through"
    r"|(?:all )?i have is the date"
    r"|i can not change the delivery|i can not (?:say|tell you) anything"
    r"|i (?:can )?only give you the (?:day|date)"
    r"|(?:the )?tracking (?:is )?only (?:updates?|updated|changes) (?:when|once) (?:it|the parcel|something) (?:is"
    r"|gets) scanned(?: [,.]|$)"
    r"|i (?:am|can) (?:just|only) (?:able to )?(?:track|look up|check|follow|look into|see where) (?:parcels"
    r"|packages|orders|them|deliveries|shipments)(?: (?:are|is))?(?: [,.]|$)"
    r"|i (?:can not|am not able to|am unable to|do not have (?:a|any|the) (?:way|means|ability|option|tools?"
    r"|access) to) (?:set|make|arrange|change|do|put|edit|update|request) (?:(?:any )?changes?(?: to (?:deliveries"
    r"|the delivery|it|that|your delivery))?|that|it|this|those|those changes|that change)(?: (?:up|through|for you"
    r"|from here|myself|on my (?:end|side)))*(?: [,.]|$)"
    r"|i can only see (?:a|the) (?:date|day)(?: [,.]|$)"
    r"|(?:that|this|it) is not (?:up to|for) me(?: to (?:say|decide))?(?: [,.]|$)|it is (?:just|only) me here"
    r"|there is (?:no (?:one|person)|nobody) (?:(?:that )?i can (?:put you through to|transfer you to"
    r"|connect you (?:to|with))|here)"
    r"|where it is at this very moment|i only speak english|(?:i can only help you|i only speak) in english"
    r"|my german is not"
    r"|estimates can change|i can not (?:say|tell(?: you)?|know)(?: (?:that|this))? without (?:the"
    r"|a|your) (?:tracking )?number"
    r"|(?:this|that) is (?:only |just |of course |still )*an estimate(?: [,.]|$)|i do not see that\b"
    r"|i can not see that\b"
    rf"|(?:(?:please|just|do|and) )*(?:(?:keep|bear) in mind|note|be aware|remember|know)?(?: that)? ?{MAY_CHANGE}"
)
