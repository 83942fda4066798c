"""Versions of what a conversation does. A session ends under the rules that it began with.

A log gives the same effects for good: sessions that another gateway takes over, and recordings that are replayed, were made
under the rules of their time. A change that would give an old log other effects gets a new number here, and the code asks for
the number where it decides.

1: as commit ac382d2 and earlier.
2: - tool calls are complete when the model has finished; it reads which tools are unknown and which arguments are no JSON object;
   - an answer without a word is an apology;
   - a turn that ends while another response runs is answered after it;
   - a response waits for the words of all items that it reads;
   - a truncated item is final;
   - what a stopped model has read is estimated.
3: - a language model reads which lines were typed;
   - only a caller who has typed is asked to type what was not understood.
"""

FIRST = 1  # of a log without a number
THIRD = 3
PRESENT = 3
