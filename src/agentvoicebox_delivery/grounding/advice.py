"""Forms of advice, of what others may do for the caller, and of questions. Only tables, read by `free_words`."""

import re

from agentvoicebox_delivery.grounding.limits import HELPER, LEAD, form

WOULD = (
    r"(?:may|might|can|could|should|would|will|is|are)(?: (?:also|probably|certainly|surely|well|then|definitely"
    r"|hopefully"
    r"|usually|always|still))*"
)
# What somebody may be asked to do about a question, or is able to do.
ASKING = (
    r"(?:check\w*|ask\w*|contact\w*|call\w*|try\w*|get in touch|getting in touch|reach(?:ing)? out|follow(?:ing)? up"
    r"|get(?:ting)? (?:hold of|back to|onto)|sort (?:(?:it|this|that) )?out with|take (?:it|this|that) up with"
    r"|rais(?:e|ing) (?:it|this|that) with|(?:usually |normally |often |also )*(?:arrang(?:e|ing)|set(?:ting)? up"
    r"|request(?:ing)?|organis(?:e|ing)|organiz(?:e|ing)|chang(?:e|ing)|do) (?:it|this|that|those)(?: up)? (?:with"
    r"|through|via)"
    r"|giv(?:e|ing) (?:CARRIER|them|the carrier) a (?:call|ring)|find(?:ing)? (?:it|that|more|out|one"
    r"|this)(?: (?:out|more|details|information))*(?: (?:on|at|in|from|through|by))+(?= (?:CARRIER|the (?:carrier"
    r"|website|app|tracking|label|sender|email)|their (?:website|app|site)|your (?:confirmation|order|email|account"
    r"|receipt)))|discuss(?:ing)? (?:it|this|that) with"
    r"|let (?:CARRIER|them|the \w+) know|report\w*|verify|keep(?:ing)? an eye on (?:the tracking|it)|have another"
    r"|double check\w*|pick(?:ing)? it up|collect(?:ing)? it"
    r"|look(?:ing)? (?:for it |in |at |through |over |around )+(?:(?:the|your) )?(?:\w+ )?(?:confirmations?|emails?"
    r"|doors?|home|garden|porch|building"
    r"|orders?"
    r"|receipts?|labels?|details|inbox|again|once more|house|property)|go through)"
)
ADVICE = form(
    r"(?:please |kindly |just |simply |you (?:can|could|may|might|should|would|will)(?: also"
    r"| always| still| probably| definitely| need to| have to| want to| wish to| like to| be better off| do well to)*"
    r"|i would (?:definitely |probably |also |first )*(?:suggest|recommend|advise|start by|begin by"
    r"|try)?(?: that)?(?: you)?"
    r"|i (?:suggest|recommend|advise)(?: that you)?|my (?:advice|suggestion) (?:is|would be) to"
    r"|i would|it (?:is|might be|may be|would be|could be|can be)"
    r" (?:probably |always |definitely )?(?:best|worth|a good idea|better|easiest|sensible|helpful|worthwhile)(?: to"
    r"| if you)?"
    r"|it (?:might|may|could|would|can|will)(?: also| probably)? help(?: you)?(?: to| if you)?|best to"
    r"|so it is best to"
    r"|(?:your|the) (?:best|next|first|easiest|quickest|simplest|only|right) (?:bet|option|course|step|thing|move|way"
    r"|thing to do|way forward|place to start|point of contact)(?: here| now| for that)? (?:is|would be|might be"
    r"|may be)"
    r"(?: probably)?(?: to)?"
    r"|(?:that|this|it) (?:is|would be|will be|may be|might be)(?: probably| really)? (?:something|a question|one"
    r"|best|a matter)"
    r"(?: for| to)?(?: that)?(?: (?:you|only you))?(?: (?:would|will|may|might|can|could|should))?"
    r"|(?:that|this) (?:is|would be|has to be|would have to be|will be) (?:between you and|up to)"
    r"|(?:\w+ )?(?:instructions|preferences|options|arrangements|requests|claims|refunds|changes) (?:are|would be"
    r"|have to be"
    r"|need to be|would need to be|can be|is)(?: (?:something|handled|made|arranged|dealt with|requested|best"
    r"|sorted out))*"
    r"(?: (?:by|through|with|directly|that))*(?: you (?:would|will|can|could|may|might))?"
    r"|have you (?:tried|thought (?:of|about)|considered)|maybe|perhaps|try|did you|have you|could you|would you"
    r"|can you)"
    r"(?: (?:also|please|just|try|try to|to|mind|get|getting|want|like|have|need|perhaps|maybe|first|then"
    r"|quickly))* ?"
    rf"(?:{ASKING}"
    r"|(?:read|repeat|say|spell|tell|give|provide|share)\w*(?= (?:me|us|it|that|your|the (?:number|whole|rest|last"
    r"|full"
    r"|tracking|digits)))|go(?: ahead| on| over)?|take your time|keep in mind|let me know|hold on|wait(?! (?:at|in))"
    r"|bear with|speak|turn to|in touch|pop over|(?:between you and|up to)(?= )|(?<=by )(?=CARRIER|the carrier|them)"
    r"|(?<=with )(?=CARRIER|the carrier|them))"
    r"|(?:that|this|it) (?:would be|is) (?:between you and|up to) (?:them|CARRIER|the \w+)"
    rf"|{HELPER}(?: ,)? {WOULD} (?:be )?(?:(?:in the )?(?:best|right|better) (?:one|place|placed|people|position"
    r"|person"
    r"|contact|point of contact|party)|the (?:one|ones|right place|best place|people)|able to|happy to"
    r"|in a (?:better )?position to)"
    rf"|{HELPER} (?:may|might|can|could|should|would|will)(?: (?:also|probably|certainly|surely|well|then|definitely"
    r"|hopefully|usually))*"
    r" (?:help|tell|know|assist|have (?:more|that|the|further|an answer|access|a (?:time slot|window|record"
    r"|time window|better idea|narrower))|investigate|offer|look into|advise|clarify"
    r"|explain|confirm|answer|check|trace|track it down|walk you through|talk you through|go through|sort|provide"
    r"|narrow|give you|share|let you know)"
    rf"|{HELPER} (?:is|are|would be|will be|may be|might be) (?:probably )?(?:your|the) (?:best|right|next"
    r"|only) (?:bet|option|contact|point of contact|port of call|place|choice)"
    rf"|(?:that|this|it) (?:(?:would|will|may|might|does) )?(?:needs?|ha(?:s|ve)) to (?:go through|be (?:done"
    r"|arranged|changed|requested|set up|sorted out|handled) (?:by|through|with|via)|come from)"
    rf" (?:CARRIER|the \w+|them)(?: directly)?(?= [,.]|$)"
    rf"|(?:requests|claims|complaints|questions|enquiries)(?: (?:for|about|on) \w+)? (?:must|should|need to|have to"
    r"|can|would have to) be (?:addressed|directed|made|sent|put|taken up)"
    rf" (?:to|through|with|by) {HELPER}(?: [,.]|$)|(?:ask|contact|call|try) (?:CARRIER|the (?:sender|shop|seller"
    r"|carrier)|them)(?: directly| please)*(?= [,.]|$)"
    r"|if you (?:get in touch with|contact|ask|call|speak to|reach out to) (?:CARRIER|them|the (?:sender|shop|seller"
    r"|carrier))(?= [,.]|$)"
    rf"|{HELPER} (?:can|could|may|might|should be able to) (?:start|open|launch|begin) (?:a search|an investigation"
    r"|a trace)(?: for (?:it|you|that))*"
    r"|keep an eye on (?:the tracking|it)|check back|(?:contacting|calling|asking|checking (?:with|back)"
    r"|reaching out to) (?:CARRIER|them|the \w+|your \w+|in)"
    rf"|{HELPER} (?:keep|keeps|hold|holds|have|has) (?:those|that|these|the) (?:records?|details?|information)"
    rf"|{HELPER} (?:might|may|should|could|would)(?: know| be able to(?: help)?)?(?= [,.?]|$)"
    rf"|{HELPER}(?: , they)? (?:is|are|would be) the (?:right|best)? ?(?:place|one|people)(?: to ask)?"
    r"|you would (?:have|need) to(?! pay)|the (?:best|right) place to ask"
)
QUESTION = form(
    r"(?:could|can|would|will|may|might|shall|should|do|does|did|have|has|is|are|was|were"
    r"|am|what|which|where|when|who|how|why|any|anything|shall"
    r"|and|want|need|where did)\b"
)
# Deeds that no agent of this kind does, in an offer.
STRANGE_OFFER = re.compile(
    r"\b(?:(?:shall|should|can|could|may) (?:i|we)|me to) (?!(?:just |also |quickly |please )*(?:check"
    r"|look|try|find|track|help|read|repeat|give it a (?:go|try)"
    r"|say|spell|tell|have|get|ask you|do for you|assist|double check|be|see|know|i)\b)"
    r"|\b(?:did|do|have) you (?:know|hear|heard|notice|noticed|realise|realize)\b|\byour refund\b"
)
# What the agent can't know of others: that they will pay or replace something.
PROMISED_BY_OTHERS = re.compile(
    rf"{HELPER} (?:will|can|should|would|shall)(?: be able to| be happy to| also)* (?:give|offer|provide|share|send"
    r"|pay|refund|arrange)\b"
    r".*\b(?:refunds?|replacements?|another|new|money|vouchers?|compensation|credit|discount)\b|\bif you pay\b"
)
# "DHL might.": what a helper may be able to do, left open; to a yes-or-no question it would be an answer.
LEFT_OPEN = re.compile(rf"(?:{LEAD})*{HELPER} (?:might|may|should|could|would)(?= [,.?]|$)")
CONDITION = re.compile(r".*?\bif [^,]*,")
