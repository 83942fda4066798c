"""Forms of sympathy, courtesy and small talk, and what they may not say. Only tables, read by `free_words`."""

import re

from agentvoicebox_delivery.grounding.limits import LEAD, form
from agentvoicebox_delivery.grounding.vocabulary import FEELINGS

SYMPATHY = form(
    r"(?:i|we)(?: (?:do|really|truly|sincerely|completely|totally|fully|certainly|honestly|can|also|just|only))* "
    r"(?:understand|get|hear|know|wish|hope|appreciate|apologi[sz]e|feel|imagine|agree|realise"
    r"|realize|see (?:how|why)|would(?: really| also)?"
    r" (?:love|feel|be|hate|like|do)|do not want|am (?:so |very |really |truly |just |doing |feeling |here|pretty )*"
    r"(?:sorry|glad|happy|delighted|pleased|well|great|good|fine|here|an?|not a|aware|listening|all ears))\b"
    r"|(?:that|this|it)(?: really| just)? (?:must be|must have been|is|sounds|has to be"
    r"|must feel|can be|would be|would have been)(?: (?:so|very|really|quite|a|an|way|too|just|truly|such|not))*"
    rf" (?:{FEELINGS}|question)\b|you (?:have every right|are right to be|must be)|your (?:frustration"
    r"|patience|time)"
    r"|(?:please )?accept|thank(?:s| you)|you are (?:so |very |most )?welcome|my pleasure"
    r"|(?:it|that) (?:was|has been) (?:my|a) pleasure|you are doing (?:great|fine|well|really well)"
    r"|(?:just )?have fun"
    r"|no (?:worries|problem)|any ?time|happy"
    r"|waiting is (?:never|no|not|hard|always)|stay|enjoy (?:your|the)|have an?|take care|take your time"
    r"|do not (?:worry"
    r"|hesitate)|feel free|pretty good|not (?:too )?bad"
    r"|shall we|let us (?:see|find|track|get|give|have|go|try|take)|i am (?:pretty|quite) good at"
    r"|let me (?:know|think|see(?= [,.])|just double check that|double check that|just double check that"
    r"|read that back)"
    r"|talk to you|glad|bye|goodbye|see you(?= [,.])|oops|sorry|apologies|your (?:frustration"
    r"|patience)"
    rf"|(?:that|this) (?:is|was) (?:a |an )?(?:really |very |totally |entirely )?(?:{FEELINGS})"
    r"|(?:good|best) of luck|fingers crossed|welcome|is there anything|what can i"
)
PRAISE = re.compile(
    r"(?:(?:that is|what) )?an? (?:good|nice|lovely|kind|great|clever|sensible) (?:idea|thought)(?: [.,])*"
    r"|(?:nobody|no one) (?:should|likes?|wants?|enjoys?|deserves)(?: to)?(?: have to)? (?:wait(?:ing)?"
    r"|be(?:ing)? kept waiting|hear(?:ing)? (?:that|this)|deal with (?:this|that))"
    r"(?: (?:that|so|this) long)?(?: [.,])*|"
    r"DAY would (?:be|have been) (?:nice|lovely|great|perfect|better|nicer)(?: [.,])*"
    r"|(?:i am afraid )?you will (?:have|need) to be (?:(?:a|just|little|bit|more) )*patient(?: (?:a|just|little|bit"
    r"|longer|more))*(?: [.,])*|"
    r"(?:(?:oh|well|hmm|that is|a|an|,) )*(?:good|great|fair|excellent) (?:question|point"
    r"|thinking|timing)(?: to ask)?(?: [.,])*"
    r"|(?:and )?happy holidays(?: [.,])*|(?:cool|okay|great|perfect) , got it(?: so far)?(?: [.,])*"
    r"|got it so far(?: [.,])*"
)
# Sympathy that no one takes for a yes or a no.
FEELING_FOR = form(
    r"you are doing (?:great|fine|well|really well)|i will (?:do|try) my (?:very )?best|"
    r"i (?:do not|would not|can not) blame you|i would be(?: (?:so|very|really|just|a|bit|pretty))* (?:cross"
    r"|annoyed|upset|angry|frustrated|unhappy|disappointed)"
    r"|(?:i can |i )see (?:why|how)|i would (?:gladly |happily |really )?(?:do it|do that|help|tell you"
    r"|love to) if i could|if only i could|"
    r"(?:i|we) (?:do |really |truly |completely |totally |fully |certainly |can |also |just )*(?:understand"
    r"|get (?:why|that|how|it)|hear you|know (?:you|how|this|that"
    r"|it)|wish|appreciate|apologi[sz]e|feel|imagine|would (?:really |also )?(?:love|feel|like))"
    rf"|(?:that|this|it)(?: really| just)? (?:must be|sounds|would be)(?: \w+)? (?:{FEELINGS})|your frustration"
    r"|thank(?:s| you) for|sorry to hear|(?:i|we) am (?:pretty|quite) good at|you (?:have every right"
    r"|are right to be)"
)
HOPED = re.compile(
    r"(?:(?:i am sorry|sorry|,|but|and) )*i (?:know|understand|realise|realize|see) (?:that )?you (?:would (?:like"
    r"|love|prefer|want)|want|need|wanted)"
    r" (?:it|to (?:have|get|receive) it)(?: (?:to be|by|on|for))* DAY(?: [.,])*|"
    r"(?:(?:i am sorry|sorry|,|but|and) )*i (?:know|understand|realise|realize|see) (?:that )?you (?:were"
    r"|are|had been|had) (?:hoping|waiting|expecting|hoped|expected|wanted|planned|counted|counting"
    r"|looking forward)(?: (?:it|on|to|for|it to (?:come|arrive|be there)))*(?: DAY)?(?: [.,])*"
)
# A wish; it says nothing of when or whether.
WISH = re.compile(
    rf"(?:{LEAD})*(?:(?:i |we )?(?:do |really |sincerely )*hope|hopefully|fingers crossed)(?: ,)? (?:that )?(?:it"
    r"|your (?:parcel|package|order)|you|everything|this|that)"
    r" (?:(?:is(?= on time)|gets|arrives|comes|makes it|reaches|finds|turns up|shows up|brings|goes|works out|helps"
    r"|enjoy|get|love|like|find|have)"
    r"(?: (?:there|to you|you|safely|soon|quickly|smoothly|well|okay|a smile to your face|its way(?: to you)?|it"
    r"|your (?:parcel|package"
    r"|order)|a (?:great|good|nice|lovely|wonderful) (?:day|rest of your day|evening|weekend)|on time|in one piece"
    r"|without any"
    r"(?: further| more)? (?:trouble|delays?)))+)(?: [,.]+)*$"
)
# How long a caller says to have waited, in words of sympathy.
WAITED = re.compile(
    rf"(?:{LEAD})*(?:i (?:know|understand|realise|realize|hear you|get it|see|agree)(?: that)? ?(?:, )?)?WAIT (?:is"
    r"|really is|does feel like"
    r"|sounds like|must feel like|feels like|must be|of waiting is|of waiting must be|for (?:a|one) (?:parcel"
    r"|package|delivery) is)"
    r"(?: (?:such|quite|way|far|much|really|very|so|too|a|an|awfully|definitely|truly))*"
    rf" (?:long|time|ages|a while|{FEELINGS})(?: (?:time|wait|for anyone|to (?:wait|be waiting|wait for (?:a|your"
    r"|any) (?:parcel|package|order))))*"
    r"(?: [,.]+)*$"
)
ENJOY = re.compile(
    r"(?:and )?(?:enjoy|have fun with) (?:your|the) (?:parcel|package|order|day|evening|rest of (?:your"
    r"|the) day)(?: when it (?:gets there"
    r"|arrives|comes))?(?: , and)?(?: have an? (?:\w+ )?(?:day|evening|one|weekend))?(?: [.,])*"
)
NOUN = re.compile(r"\b(?:the|an?|my|our|their|his|her|its|some|no|this|that) (\w+)")
GOES_ON = re.compile(
    r"(?:for|about|to|that (?:i|you)|if|when|especially|with|how|why|so|too|again|please|really|as|then|and|but)\b|$"
)
YOU_WILL = re.compile(
    r"\byou (?:will|shall|are going to|have been|were|get|got|receive|are getting"
    r"|did|do not (?:have|need) to|can (?:have|get|expect|keep))\b(?! (?:hoping|waiting))"
)
IT_DOES = re.compile(r"\b(?:it|they) (?!is|helps|works for you|was|has)\w+(?:s|ed)\b")
THANKS_FOR_A_DEED = re.compile(
    r"\bthank(?:s| you) for (?!calling|waiting|holding|asking|checking|confirming"
    r"|bearing|letting|being|giving|sharing|reaching|getting|understanding|providing)"
    r"\w+ing\b"
)
TALKED_OF = re.compile(
    r"\b(?:know|understand|sorry|wish|imagine|feel|appreciate|worry|worried|shame|pity|bummer|fun|pleasure|luck"
    r"|blame|cheers|patient|patience|love"
    r"|enjoy|hope|hoped|glad|happy|thank|thanks|apologi[sz]e|forward|mind|heart|best|agree|curious|eager|excited"
    r"|upset|angry|annoyed|frustrated|cross)\b"
)
# What sympathy and talk may not say: that the parcel is had, or an answer that is left short ("I'm sorry, I did").
HAD = re.compile(
    r"\b(?:you|we|they|i|to) (?:\w+ )?(?:have|had|got|received|hold|keep) (?:it|that|them|this one|that one|one)\b"
    r"|\b(?:you|we|they) (?:\w+ )?get (?:it|that|them|one)\b|\bas (?:long|much|many|often) as you\b"
    r"|(?:^|[,.] |\b(?:and|but|so) )(?:i|you|we) (?:do|did|does|will|can|could|have|am|are|would|should)(?= [,.]|$)"
)
# What talk may not say: that something is had or unknown, how it is, that somebody will do something.
SAID_IN_TALK = re.compile(
    r"\bnot (?:(?:so|too|very|that|really) )*(?:well|good|great|bad|fine|right|possible)\b|"
    r"\b(?:have|has|had|get|got|see|find|hear|hold|give|take|make|want|know) (?:it|that one|this one|one|them|your|a"
    r"|the)\b(?= (?:here|in|on|at|up|with|for)\b| [,.]|$)"
    r"|\b(?:not|no) (?:\w+ )?(?:know|say|tell|see|sure|find|idea|hear|help|look|check|possible|do)\b"
    r"|\bwish i (?:knew|had)\b|\bif only\b"
    r"|\bi (?:can|could|would|will|shall) (?:\w+ )?(?:ask|speak|talk|give|make|take|go|check|find|look|pass)\b"
    r"|\b(?:it|this|that|they) (?:is|was) (?:\w+ )*(?:in|on|at|with|from|here|over|out|up|for|about|safe|fine|good"
    r"|well|up to|ready|done|not)\b"
    r"|\b(?:he|she|they|them)\b|\byou (?:do|need|have|must) (?:not )?(?:to )?(?:give|make|take|go)\b|\bcan (?:have"
    r"|get)\b"
)
PAUSE = re.compile(r" (?:,|but|and|\.) ?")
EXCLAIMED = re.compile(
    rf"(?:(?:oh|ooh|well|wow|ugh|aw|and) (?:, )?)*(?:how )?(?:very |really )?(?:{FEELINGS}"
    r"|exciting|lovely|nice)(?: [,.])*"
)
# A time that a caller may have waited.
SPAN = re.compile(
    r"\b(?:(?:over|more than|nearly|almost|about) )?(?:an?|one|two|three|four|five|six|seven|eight|nine|ten|several"
    r"|a few|\d{1,2})"
    r" (?:whole |full )?(?:days?|weeks?|months?|hours?)\b"
)
