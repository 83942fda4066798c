"""How callers word what they want. Only tables; `want_reading` reads lines by them. English.

The patterns are of lower-case words without punctuation. Whole lines come first, then key phrases, from the most specific to
the most general: the first one that fits counts. The last rows hold further words for wants of earlier rows.
"""

from agentvoicebox_delivery.dialogue.wants import Want

COURTESY = (
    r"please|thanks|thank you|(?:so|very) much|a lot|cheers|ta|sir|madam|ma'am|mate|dear|oh|ah|well|um+|uh|er+|ok|okay|alright"
    r"|great|perfect|brilliant|lovely|good|then|now|so|and|my friend|excellent|wonderful|awesome|fine|it's|that's|for"
    r" (?:your|the) help"
)
_NO = r"no|nope|nah"
_YES = (
    r"yes|yeah|yep|yup|ya|yes it is|it is|correct|right|exactly|sure|of course|absolutely|definitely|certainly|indeed"
    r"|affirmative|true"
    r"|(?:that's|that is|it's|that was) (?:(?:the |my )?(?:right|correct)(?: number| one| parcel)?|the one|the number"
    r"|mine|my (?:number|parcel|package)|true)"
    r"|please do|go ahead"
    r"|you got it|spot on|that one|sounds right|i would|i do"
)
_DONE = (
    r"(?:that's|that is|that'll be|that will be|that was) (?:all|everything)(?: i need(?:ed)?)?|nothing(?: else| more)?"
    r"|(?:i'm|i am|we're)"
    r" (?:done|good|fine|all set)|no more|no thanks|no thank you|all good|not today"
)
_BYE = (
    r"bye|goodbye|good bye|bye bye|see you(?: later)?|see ya|cheerio|good night|hang up|never ?mind|forget (?:it|about"
    r" it)|take care|you too"
    r"|have a (?:nice|good|great|lovely) (?:day|one|evening|weekend|night)"
)
# Whole lines: each with what it must have, and with what else it may have, besides courtesy.
WHOLE: tuple[tuple[Want, str, str], ...] = (
    (Want.BYE, _BYE, f"{_DONE}|{_NO}|{_YES}|that's it"),
    (Want.DONE, _DONE, f"{_NO}|that's it"),
    (Want.THANKS, r"thanks|thank you|cheers|ta", ""),
    (Want.THATS_IT, r"(?:that's|that is) it", _YES),
    (Want.YES, _YES.replace("|right|", "|").replace("|sure|", "|"), "right|sure"),
    (
        Want.BACKCHANNEL,
        r"m+|mhm+|mm+ ?hm+|u+h huh|uhuh|aha|ok|okay|right|alright|i see|got it|fine|sure|understood|great|good|perfect"
        r"|lovely|brilliant"
        r"|cool|nice|wonderful|excellent|awesome|i understand|noted",
        "mm+|hm+",
    ),
    (
        Want.WRONG,
        r"(?:it's |it is |that's |that is |this is )?(?:wrong|incorrect|false|not (?:right|correct|true|it)|not quite right)"
        r"|that (?:can't|cannot) be (?:right|true)",
        _NO,
    ),
    (Want.NO, rf"{_NO}|(?:it|that) (?:isn't|is not)|it's not|neither(?: of (?:them|those|these))?|none(?: of (?:them"
        rf"|those))?|negative|not really", ""),
    (
        Want.GREETING,
        r"hello|hi|hey|hiya|hallo|good (?:morning|afternoon|evening|day)|greetings|(?:is )?any(?:body|one) there"
        r"|are you (?:still )?(?:there|here)|can you hear me|how are you(?: today| doing)?",
        "there",
    ),
    (Want.REPEAT, r"sorry|pardon(?: me)?|what|excuse me|huh|again|come again|what was that|say (?:that|it)", ""),
)  # fmt: skip
_IT = r"(?:it|them|the (?:parcel|package|box|order)|my (?:\w+ )?(?:parcel|package|box|order|delivery|stuff))"
_THEY = r"(?:they|he|she|you|the (?:driver|courier|carrier))"
# By key phrases, the most specific first.
PHRASES: tuple[tuple[Want, str], ...] = (
    # questions that hold words of another want
    (Want.REASON, r"^why (?!not\b)"),
    (Want.WHEN, r"^when (?:was|did|is|will|does)\b.*\bexactly\b"
        r"|\bcoming on (?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b"),
    (Want.STATE, r"\bwho cancel\w*\b"),
    (Want.HOURS, r"\b(?:what time|when|how late|until when) (?:does|do|is|are) (?:the|your|a|they|you|it)"
        r" ?(?:\w+ ){0,2}(?:open|close|shut)s?\b"),
    (Want.NOT_RECEIVED, r"\b(?:you|they|he|she|driver|courier|carrier)(?:'ve| have|'s| has)? lost (?:it|them|my|the)\b"),
    (Want.NO_NUMBER, r"\b(?:threw|thrown|deleted|binned) (?:it|the \w+|my \w+)\b|\b(?:lost|mislaid|misplaced) (?:the|my)"
        r" (?:\w+ )?(?:number|receipt|slip|card|label|note|paper|letter|e.?mail|message|text|confirmation)\b"),
    (Want.LEAVE, r"\bhave (?:it|them) left\b"),
    (Want.HOLD, r"\b(?:hold on|hang on|one (?:moment|second|sec|minute)|just a (?:moment|second|sec|minute|tick)|give me"
        r" (?:a|one) \w+"
        r"|let me (?:look|find|check|see|get|grab|think)|wait a|bear with me|i'm writing|where did i put)\b|^(?:no )?wait$"),
    (Want.LOUDER, r"\b(?:louder|speak up|volume|(?:can't|cannot|can hardly) hear|(?:too|very|so) quiet)\b"),
    (Want.SLOWER, r"\b(?:slower|slowly|slow down|too fast|not so fast)\b"),
    (Want.REPEAT, r"\b(?:repeat|say (?:that|it|this) again|once more please|what did you (?:just )?say|what was that"
        r"|(?:didn't|did not|couldn't) (?:catch|hear|understand|get (?:that|you)))\b|^(?:sorry )?(?:what|pardon)(?: me|"
        r" sorry)?$|^again\b"),
    (Want.LANGUAGE, r"\b(?:speak|in|do you know) (?:german|deutsch|spanish|french|italian|dutch|polish|turkish|chinese"
        r"|arabic|portuguese|russian|hindi)\b"),
    (Want.SEND_ME, r"\b(?:text|e.?mail|message|whatsapp) me\b|\bsend (?:me|that|it) .*\b(?:text|e.?mail|message|whatsapp)"
        r"|\bby (?:text|e.?mail)\b"),
    (Want.ROBOT, r"\b(?:are you|is this) (?:an? )?(?:ro)?(?:bot|machine|computer|human|real|person|ai|automated|recording)\b"
        r"|\bam i (?:talking|speaking)\b|\byour name\b|\bwho are you\b|\bwho is this\b"),
    (Want.HUMAN, r"\b(?:human|operator|representative|supervisor|manager|(?:a|real|live|to) person|customer (?:service"
        r"|support|care)|an agent"
        r"|put me through|transfer me|colleague|call ?back|call me(?: back)?)\b"
        r"|\b(?:speak|talk) (?:to|with) (?:some|any|a|an|the|your|him|her)"),
    (Want.ABILITIES, r"\bwhat (?:can|do) you (?:do|help)|\bhow can you help|\bcan you help(?: me)?$|\bis this the"
        r" (?:delivery|parcel|shipping)"),
    (Want.BY_NAME, r"\b(?:find|look|search|check|track|locate)\b.* (?:by|with|using|under|through) (?:my|the) (?:name"
        r"|surname|address|post ?code|phone|e.?mail)"),
    (Want.CONTACT, r"\b(?:what(?:'s| is)|do you have|give me|need) .*\bphone number\b|\bnumber of (?:ups|dhl|dpd|usps"
        r"|fedex|evri|royal mail|the (?:carrier|courier))\b"
        r"|\bhow (?:do|can) i (?:reach|contact|call)\b"),
    (Want.OTHER_NUMBER, r"\b(?:phone number|my phone|mobile|telephone|post ?code|zip|house number|e.?mail|date of birth"
        r"|my name is"
        r"|(?:account|card|customer) number)\b(?!.*\b(?:of|for) (?:ups|dhl|dpd|usps|fedex|evri|royal mail|the))"),
    (Want.SENT, rf"\bwhen (?:was|did|were) (?:{_IT}|{_THEY}) (?:sent|send|shipped|ship|posted|post|dispatched)\b"),
    (Want.COMPLAINT, r"\bcomplain"),
    (Want.REFUND, r"\b(?:refund|money back|compensat\w*|reimburse\w*|claim|replacement|insurance)\b"),
    (Want.CONTENTS, r"\b(?:weigh|weight|what(?:'s| is)? inside|contents|how (?:big|heavy)|size)\b|\bwhat(?:'s| is) in"
        r" (?:it|the)\b"),
    (Want.SEND, r"\bsend (?:a|an|some) (?:parcel|package|letter|box)|\bship something"),
    (Want.CHARGES, r"\b(?:pay|(?<!in )charges?|fees?|cost|how much|dut(?:y|ies)|tax|price)\b"),
    (Want.SEND_BACK, r"\b(?:send|give) (?:it|this|them) back\b|\breturn (?:it|this|them)\b"),
    (Want.NOT_RECEIVED, r"\bdelivered (?:it )?to the wrong\b"),
    (Want.DAMAGED, r"\b(?:damaged?|broken|crushed|smashed|torn|missing|wrong (?:thing|item|product)|empty)\b"),
    (Want.SIGNATURE, rf"(?<!no )\bsign(?:ed|ature)?\b(?! of)|\bproof of delivery\b|\bwho (?:took|accepted|received) {_IT}"),
    (Want.SENDER, rf"\bsender\b|\bwho(?:'s| is)? (?:{_IT} )?(?:is )?(?:it )?from\b|\bwho (?:sent|shipped|posted)\b"
        rf"|\bwhose (?:is|parcel)\b"),
    (Want.REASON, r"\bwhy\b(?! not)|\bwhat (?:has )?happened\b|\bwhat(?:'s| is| was) (?:the )?(?:problem|reason|matter"
        r"|issue|wrong)\b"
        r"|\bwhat went wrong\b|\bhow come\b"),
    (Want.TO_DO, r"\bwhat (?:should|can|could|must|do) i (?:have to |need to )?do\b|\bdo i (?:need|have) to do\b|\bwhat"
        r" (?:now|next)$|\bwhat am i supposed"),
    (Want.HOURS, r"\b(?:opening hours|business hours|when do (?:they|you) (?:open|close)|(?:are|is) (?:they|you|it) open"
        r"|what hours)\b"),
    (Want.KEEP, r"\bhow long (?:will|do|can) they (?:keep|hold)\b|\bkeep it\b"),
    (Want.SPOT, rf"\b(?:where|did) (?:did )?{_THEY} (?:leave|put|drop)\b|\bleft (?:it )?with\b|\bat my (?:door|house)"
        rf"|\bexact(?:ly)?\b|\bon (?:a|the) map\b"
        r"|\bhow many stops\b|\bproof\b"),
    (Want.LEAVE, rf"(?<!i'll )\bleave (?:it|them|{_IT})\b|\btell the driver\b|\bshed\b|\bporch\b|\bsafe place\b|\binstructions?"
        rf" (?:for|to) the driver\b"),
    (Want.ADDRESS, r"\baddress\b|\bi(?:'ve| have) moved\b|\b(?:send|deliver) (?:it|them) to (?:my|a|another|the)\b|\bname"
        r" (?:is )?on (?:it|the)\b"),
    (Want.REDELIVERY, r"\bre.?deliver\w*|\bdeliver it (?:again|tomorrow|another|on)\b|\b(?:they|he|the driver) (?:try"
        r"|come) again\b|\banother (?:day|delivery|time)\b"
        r"|\bdifferent day\b|\bnot (?:at )?home\b|\bi(?:'m| am) (?:not (?:in|there)|out)\b|\bchange the (?:day|date|time)\b"),
    (Want.CANCEL, r"\bcancel (?:it|the|my|this)\b|\bstop (?:the|my|it)\b|\bdon't want (?:it|the|my)\b"),
    (Want.PICKUP, r"\bpick (?:it|them|this|my \w+) up\b|\bpick ?up\b|\bcollect(?:ion)?\b"),
    (Want.HURRY, r"\b(?:hurry|faster|sooner|express|speed (?:it|them|things) up)\b"),
    (Want.GUARANTEE, r"\b(?:definitely|guarantee\w*|promise|certain|for sure|are you sure|really (?:come|arrive))\b"),
    (Want.HOUR, r"\b(?:what|which) time\b|\b(?:this|the|tomorrow|in the) (?:morning|afternoon|evening)\b|\bmorning or\b"
        r"|\btonight\b"
        r"|\b(?:before|by|after|at|until) (?:noon|lunch|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
        r"|\d{1,2})\b|\bo'clock\b|\btime slot\b"),
    (Want.NOT_RECEIVED, r"\b(?:never|haven't|hasn't|didn't|not|don't|did not|have not) (?:yet )?(?:got|get|getting"
        r"|received?|arrived?|came?|been delivered|come|have it)\b"
        r"|\b(?:it's|is|they're|are|still|but it's) not (?:here|there)\b|\bnobody (?:rang|came|knocked)|\bstolen\b|\bi"
        r" was (?:at )?(?:home|in)\b|\bwasn't delivered\b"),
    (Want.WHERE, rf"\bwhere (?:was|is|are|has) (?:{_IT}|the \w+ one|that|they)?\s*(?:been )?(?:delivered|last seen)"),
    (Want.STATE, rf"^(?:so )?(?:is|was|has|did|have) (?:{_IT}|they)\b.*\b(?:delivered|arrive[d]?|here|late|delayed|lost"
        rf"|stuck|moving|deliver|on (?:its|the) (?:way|van|truck))\b"
        r"|\bso it's\b|\b(?:status|state)\b|\bjust say\b|\bshould have (?:been|come|arrived)\b|^is it (?:lost|late|here)"),
    (Want.NUMBER, r"\bwhat (?:was|is|'s) (?:the|my|that) number\b|\bwhat(?:'s|s) the number\b|\bwhich (?:parcel|number"
        r"|one) (?:was|is) (?:that|it)\b|\bwhat number (?:is|was)\b"),
    (Want.FIND_NUMBER, r"\b(?:where|how) (?:do|can|would|should|could) i (?:find|get|see|look)|\bwhat(?:'s| is) a tracking number"
        r"|\bwhere is (?:the|that|my) (?:tracking )?number|\b(?:which|what) number\b"),
    (Want.ORDER_NUMBER, r"\border (?:number|no|id)\b"),
    (Want.NO_NUMBER, r"\b(?:don't|do not|haven't|have not|didn't|never) (?:have|got|know|get|remember)\b|\b(?:lost"
        r"|forgot) (?:it|the|my|that)\b"
        r"|\bcan(?:'t|not) find (?:it|that|the number|my number|one|any)|\bno idea\b|\b(?:no|without(?: a| the)?)"
        r" (?:tracking )?number\b"),
    (Want.NOT_MINE, r"\b(?:not|isn't|is not) (?:mine|my|the (?:right|one)|what i said)|\bmis(?:heard|understood)|\bwrong"
        r" (?:number|parcel|package|one)\b"
        r"|\bgot (?:it|that) wrong\b|\bdidn't (?:say|buy|order) (?:that|this)"),
    # what else a question for the day may ask for
    (Want.CHARGES, r"\bmoney due\b|\bany money\b|\bfor free\b|\bcash\b"),
    (Want.HOUR, r"\b(?:what|which|roughly what|about what) hour\b|\bafter work\b|\bduring the day\b|\bearly or late\b"
        r"|\bhow (?:late|early)\b|\bwindow\b"
        r"|\b(?:lunchtime|midday|noon|am or pm|a\.?m\.?|p\.?m\.?)\b|\bsay (?:five|six|seven|eight)\b"),
    (Want.KEEP, r"\buntil when\b|\bhow many days\b|\bbefore it goes back\b|\bstill be there\b"),
    (Want.WHEN, r"\b(?:when|what day|which day|how long|eta|due|today|tomorrow)\b|\barriv\w+|\b(?:is|will) (?:it|they)"
        r" (?:be )?(?:com(?:e|ing)|here)\b"),
    (Want.WHERE, r"\b(?:where|location|which (?:town|city|depot)|last seen|how far)\b"),
    (Want.CARRIER, r"\bwho (?:has|is|brings?|delivers?|delivered|carries)\b|\b(?:which|what) (?:carrier|company"
        r"|courier)\b|\b(?:courier|carrier)\b"
        r"|\b(?:is it|it's) (?:with|by) \w+"),
    (Want.MORE, r"\b(?:more (?:details?|info\w*)|tell me more|(?:any|more|the) details?|any (?:news|updates?))\b"),
    # further words for the same wants
    (Want.DONE, r"\b(?:that's|that is) all i\b|\bwe're (?:finished|done)\b|\bgoing to go\b|\bhave to go\b|\bgot to go\b"),
    (Want.REPEAT, r"\b(?:i )?missed (?:that|it all|what you)\b|\bread (?:it|that) (?:back|again|out)\b|\bone more time\b"),
    (Want.HOLD, r"\bhold your\b|\bgive us a\b|\bhalf a (?:sec|minute)\b|\bjust a\b|\bstand by\b"),
    (Want.HUMAN, r"^(?:an? |the )?agent(?: please)?$|\bdeal with a\b|\bsomeone real\b"),
    (Want.COMPLAINT, r"\bdissatisf\w*|\bnot happy\b|\bunhappy\b|\blet down\b|\bescalate\b"),
    (Want.DAMAGED, r"\bnot in the (?:box|parcel|package)\b|\bhalf of (?:it|my|the)\b|\bincomplete\b|\bopened\b"),
    (Want.NOT_RECEIVED, r"\bhasn't shown up\b|\bnot shown up\b|\bis empty\b|\bwhere's my .* then\b"),
    (Want.REASON, r"\bfor what reason\b|\bholding it up\b|\bwhat's the delay\b|\bwhat caused\b|\bstuck\b"),
    (Want.SIGNATURE, r"\bput (?:their|his|her) name\b|\bwho was (?:it given|there)\b"),
    (Want.REDELIVERY, r"\bbring it (?:next|on|another|later|tomorrow)\b|\bdeliver on\b|\bhave it delivered (?:on|next|later)\b"),
    (Want.LEAVE, r"\bconcierge\b|\bhand it to\b|\bporter\b|\bdoorman\b|\bsecurity\b"),
    (Want.PICKUP, r"\bgrab it\b|\bswing by\b|\bcome (?:by|over|round|in) (?:and|to) (?:get|take)\b"),
    (Want.CARRIER, r"\bwho do you use\b|\bwhose van\b"),
    (Want.DONE, r"\b(?:that will do|that'll do|i'll leave it there|that's me|all i needed|that's it for (?:today|now)"
        r"|we're finished)\b"),
    (Want.NOT_RECEIVED, r"\b(?:no sign of|no trace of|vanished|disappeared|gone missing|must have it|hasn't turned up"
        r"|didn't turn up|never turned up"
        r"|empty[- ]handed|still waiting|nothing (?:has )?(?:came|come|arrived|turned up)|no parcel here|wasn't (?:there"
        r"|here)|not in my)\b"),
    (Want.DAMAGED, r"\b(?:in pieces|shattered|dented|cracked|ripped|soaked|wet|bent|leaking|leaked|faulty|defective"
        r"|ruined|not what i ordered)\b"),
    (Want.REFUND, r"\b(?:paid back|pay me back|my money|get my money|reimbursement|chargeback|credit note)\b"),
    (Want.COMPLAINT, r"\b(?:grievance|report (?:a|the|this|your) (?:driver|courier)|ombudsman|sue|lawyer|rude|feedback)\b"),
    (Want.SIGNATURE, r"\b(?:name (?:did )?they (?:take|took|wrote)|name they|who(?:'s| has| was)? (?:got|given|handed"
        r"|opened)|handed (?:it )?to whom|handed to)\b"),
    (Want.SENDER, r"\b(?:which|what) (?:shop|store|website|seller|retailer|company sent)\b|\bcome from\b|\bcame from\b"
        r"|\bseller\b|\bretailer\b"),
    (Want.REASON, r"\b(?:explain|what the (?:issue|problem|reason|matter) is|the cause|what's (?:up with|going on)|what"
        r" (?:is|was) the hold ?up|what exactly)\b"),
    (Want.REDELIVERY, r"\b(?:nobody|no one|someone) will be (?:in|home|there)\b|\b(?:come|deliver\w*|bring it|have it)"
        r" (?:on )?(?:\w+ )?instead\b|\breschedul\w*"
        r"|\bpostpone\b|\bwon't be (?:in|home|there)\b|\bon holiday\b|\bdeliver\w* later\b|\banother (?:go|attempt|try)\b"
        r"|\bnew (?:slot|date|time)\b"),
    (Want.LEAVE, r"\b(?:drop|put|hide|throw) it\b|\b(?:back|front|side) door\b|\bgarage\b|\bring the bell\b|\breception\b"
        r"|\bletterbox\b|\bbehind the\b"),
    (Want.ADDRESS, r"\b(?:flat|street|house|apartment|door) (?:number|name)\b|\bwrong street\b|\bto where\b|\bgoing to"
        r" the right\b|\bredirect\w*\b|\bdivert\w*\b"
        r"|\bforward it\b"),
    (Want.PICKUP, r"\b(?:fetch|get) it (?:from|there|myself)\b|\bcome and get\b|\bfrom (?:the|your) (?:depot|warehouse"
        r"|shop|office)\b|\bparcel (?:shop|locker)\b"),
    (Want.CHARGES, r"\b(?:bill(?:ed)?|import|vat|owe|free of charge|extra)\b"),
    (Want.LOUDER, r"\b(?:faint|breaking up|bad line|crackl\w*|muffled|inaudible)\b"),
    (Want.HUMAN, r"\b(?:someone in charge|in charge|a lady|a man|a woman|your boss|head office|real someone|living|an"
        r" adviser|an advisor|staff|team member)\b"),
    (Want.HOLD, r"\b(?:put you on speaker|need a (?:moment|minute|second|sec)|i'm (?:looking|searching|just getting)|be"
        r" right back|hold the line|two (?:secs?|minutes|ticks)"
        r"|where are my glasses|get a pen|grab a pen)\b"),
    (Want.SPOT, r"\bhow (?:close|near)\b|\bstreet\b|\bwhich (?:road|door|porch)\b|\btrack the (?:van|driver)\b|\bphoto\b"
        r"|\bpicture\b"),
    (Want.CONTENTS, r"\bwhat did i (?:order|buy)\b|\bwhat(?:'s| is) it\?$|\bwhat (?:parcel|item) is it\b|\bkilos?\b"),
    (Want.TO_DO, r"\b(?:next steps?|how do i (?:proceed|fix|sort)|sort (?:this|it) out|any advice|what do you (?:suggest"
        r"|advise|recommend))\b"),
    (Want.NO_NUMBER, r"\bhaven't got (?:it|one|that)\b|\bdon't"
        r" (?:see|have) (?:it|one|any)\b|\bnot sure where\b"),
    (Want.CARRIER, r"\bwho(?:'s| is| will be)? (?:bring\w*|deliver\w*|carry\w*|ship\w*|transport\w*|handling)\b|\bwhich"
        r" (?:firm|van|service)\b"),
    (Want.WHERE, r"\bwhich (?:city|country|place|hub|warehouse)\b|\bwhereabouts\b|\bwhat (?:city|town|country)\b"),
    (Want.STATE, r"\b(?:what's|what is) (?:going on|happening|the latest|new)\b|\bany progress\b|\bmoved?\b|\bis it (?:ok"
        r"|okay|safe|alright|fine)\b|\bstill (?:on|in|at)\b"),
    (Want.WHEN, r"\b(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday|this week|next week|the weekend)\b"
        r"|\b(?:it'll|it will|they'll) be\b|\bhow soon\b"
        r"|\bhow much longer\b|\bexpect it\b"),
    (Want.ANOTHER, r"\b(?:another|one more|a second (?:one|parcel|package)|different (?:one|parcel|package|number)"
        r"|(?<!what )other (?:one|parcel|package|order|number)s?)\b"),
    (Want.RETRY, r"\b(?:try|check|look|search) (?:(?:it|that|up) )?(?:again|once more|now)\b|\bretry\b"),
    (Want.NEED, r"\b(?:parcel|package|packet|delivery|deliver(?:ed)?|order(?:ed)?|shipment|shipping|track|tracking|box"
        r"|letter|card)\b"),
)  # fmt: skip
ANGER = (
    r"\b(?:hell|damn|bloody|fuck\w*|shit|crap|stupid|useless|ridiculous|unacceptable|outrageous|terrible|awful|pathetic"
    r"|idiots?|incompetent"
    r"|disgusting|joke of|fed up|sick of|(?:really|so|very) (?:upset|angry|annoyed)|kidding me|for god's sake|for ages"
    r"|waste of|birthday"
    r"|already told you|worst|worried|livid|joking|furious|shambles|rubbish|nightmare|appalling|shocking|disgrace\w*|scandal\w*"
    r"|frustrat\w*|nonsense|unbelievable|every (?:single )?time|what the|wasting|\w+ weeks)\b"
)
