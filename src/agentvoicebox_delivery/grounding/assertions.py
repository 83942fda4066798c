"""What makes a statement of words that seem free: a deed, a fate taken for granted. Only tables."""

import re

from agentvoicebox_delivery.grounding.vocabulary import FEELINGS

STATES_SOMETHING = re.compile(
    r"\b(?:(?:because|since)(?! (?:no|there is no|it does not|the (?:tracking|system) does not|i (?:can|do) not"
    r"|i can only|they have not)\b)|due to|as the|so that it|which (?:is|was|has|will)|i found out"
    r"|turns out|given that|now that|after the|before the)\b"
)
IT_IS = re.compile(
    r"\b(?:it|this|that|they|he|she) (?:is|was|has|had|will|would|should|can|may|might|must"
    r"|got|did|does|came|went|arrive\w*|left)\b"
    r"(?! (?:be |been |have been )?(?:(?:so|very|really|quite|a|an|too|just|such|more|be|not|the|particularly|much"
    rf"|not what) )*(?:{FEELINGS}|you|question|best|probably best|better|worth|good idea"
    r"|up to|between you|something|one for|a matter|help))"
)
# Fates that no free words may presume, in a question or a limit either; and deeds of somebody ("the neighbour who took it").
PRESUMED = re.compile(
    r"\b(?:damaged|lost|stolen|stole|broken|opened|destroyed|torn|seized|crashed|missing|hotline"
    r"|wrong (?:house|address|place|person|door))\b"
    r"|\bwho (?:took|has|got|opened|received it for|carries|delivers|handles"
    r"|brings|is (?:carrying|delivering|handling|bringing))\b"
)
# Words that would look like a closed class, or like a remark about the parcel, and are neither.
ASIDE = re.compile(
    r"\b(?:it|that) (?:would|d) be more (?=convenient)|"
    r"\bas soon as (?:you can|possible|you have it)\b|\ball (?=i (?:have|see|know|need|would need)\b)"
    r"|\bhow \w+ (?:that|this|it) (?:is|must be|can be|must feel|feels|gets)\b"
    r"|\b(?:when|if) (?:an? (?:parcel|package|delivery|order) (?:is|runs|gets) (?:late|delayed)|(?:things|deliveries"
    r"|parcels) (?:are|run|get) (?:late|delayed))\b"
    r"| , they (?:can|may|might|could|should|will)(?: be able to)? (?:help|investigate"
    r"|tell|know|assist|look)\b(?: you)?(?: more)?"
    r"|\bif (?:it|you|that) (?:does not|do not|still|can not|can|would|is not there|is a surprise)(?: \w+){0,6} ,"
    r"|(?:, )?\b(?:since|as|because) they (?:may|might|can|could|should|will|would)(?: also| well)?(?: be able to)?"
    r" (?:help|investigate|tell|know|assist|look|provide|have|offer|give|check|see|confirm|advise)\b"
    r"(?: (?:you|one|that|it|more|further|additional|information|details|into|an answer|a time|a window))*"
    r"|(?:, )?\b(?:since|as|because) (?:they|CARRIER) (?:are|is|handle|handles|deal|deals|manage|manages|look after"
    r"|arrange|arranges"
    r"|have|has)(?: (?:with|responsible for|in charge of|the ones handling|handling|the|delivery|deliveries|that"
    r"|this|those|all"
    r"|access to|preferences|instructions|side of things|details|more|requests|changes|full))+"
    r"|\bfor an? (?:parcel|package|delivery)(?= [,.]|$)|\b(?:that )?you have (?:been waiting|waited|had to wait"
    r"|been kept waiting)(?: for)?(?: (?:so|that) long| WAIT)"
    r"|\bwhether (?:it|that|this) is possible(?: to (?:leave|change|deliver|have|send) it(?: (?:with a neighbour"
    r"|with a neighbor|somewhere else|to another address|another day))?)?|\bwhether (?:anything|there (?:is"
    r"|are) (?:anything|any \w+)) (?:is |are )?(?:owed|due|to pay|payable|needed)\b"
    r"|(?: (?:that )?(?:this|it|that|all this) (?:has|may have|might have|must have|is|had) (?:caused"
    r"|causing)(?: (?:for )?you)?)"
)
# Between pauses these answer a yes-or-no question.
ANSWER = re.compile(
    r"(?:^|[,.] |\b(?:but|and|so|though) )(?:yes|no|nope|yeah|yep|yup|sure|indeed|correct|absolutely|definitely"
    r"|certainly|of course)(?= [,.]|$)"
)
# How long a parcel is kept is a topic, no promise.
KEEPING = re.compile(
    r"\bhow long (?:they|CARRIER|it) (?:will|can|could|are going to|is going to)(?: be)? (?:keep"
    r"|hold|store|kept|held|stored|there)\b(?: it| on to it)?(?: for)?"
)
ANY_NOUN = re.compile(r"\b(?:the|an?|my|our|your|their|his|her|its|some|any|another) (\w+)")
# Deeds in the past, which make a statement of advice ("ask them, the driver forgot it").
DEED = re.compile(
    r"\b(?:which|whose) \w+ (?:has|have|had|took|got|did|broke|brought|brings|delivered|delivers|is|was)\b|"
    r"\b(?:took(?! it in\b)|gave|forgot|broke|stole|ran|fell|threw|hit|ate|burnt|burst|drove|sank|blew|froze|died"
    r"|went|tore|shot|sold(?! it)"
    r"|lied|hid|drank|bit|shut|quit|struck|flew|rang|knocked|lost|leaked|rained|snowed|flooded"
    r"|(?<!have you )(?<!did you )(?<!you have )(?<!i have )(?<!has anyone )(?<!has anybody )(?!need|indeed|speed"
    r"|feed|based|ordered|purchased|received|signed|accepted|happened|caused|needed|provided|listed|included"
    r"|specified|recorded|stated|marked|scheduled|expected|delayed|returned|cancelled|canceled|placed|interested"
    r"|tired|related"
    r"|mentioned|given|delivered|shared|limited|automated|asked|tried|supposed|guaranteed|charged|handled|allowed"
    r"|wanted"
    r"|changed|redelivered|rescheduled|redirected|arranged|exceed|agreed|missed|heard|reached|checked|looked"
    r"|covered)\w+ed)\b"
    r"|\bput (?!you )|\bcame (?!from)|\b(?:fire|theft|strike|weather|damage|accident|flood|snow|storm|holiday|war"
    r"|thief|police)s?\b"
    r"|\byou (?:refused|missed|paid|gave|sent|signed|moved|forgot|changed|cancelled|agreed|owe)"
)
MISSING_DIGIT = re.compile(
    r"\b(?:a|one|some|any)(?: of the)? (?:digit|number|letter|character)s? (?:is|are|was|were"
    r"|might be|may be|could be) missing\b"
)
