"""Takes out of a stream of text what a model thinks before it answers, and the control words of its template.

Some templates begin the thought themselves, so that only its end is in the stream. A model that did so once is expected to do so
again: then text is held until the end of the thought, or of the answer.
"""

from agentvoicebox.providers.llm.tag_text import TagFinder, unless_tag

_OPENING = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<thoughts>": "</thoughts>",
    "<reasoning>": "</reasoning>",
    "<reflection>": "</reflection>",
    "<seed:think>": "</seed:think>",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|start_thinking|>": "<|end_thinking|>",
    "[think]": "[/think]",
    "◁think▷": "◁/think▷",
    "<|channel|>analysis<|message|>": "<|end|>",
    "<|channel|>commentary<|message|>": "<|end|>",
}
_CLOSING = frozenset(_OPENING.values()) - {"<|end|>"}
_CONTROL = frozenset({
    "<|start|>assistant", "<|channel|>final<|message|>", "<|end|>", "<|return|>", "<|im_start|>assistant", "<|im_end|>",
    "<|eot_id|>", "<|eom_id|>", "<|endoftext|>", "<end_of_turn>", "<|end_of_text|>",
    "<|start_header_id|>assistant<|end_header_id|>",
})  # fmt: skip
_OUTSIDE = TagFinder({*_OPENING, *_CLOSING, *_CONTROL})
_INSIDE = TagFinder({*_CLOSING, "<|end|>"})


class ThoughtFilter:
    """Filters one answer.

    Args:
        begins_inside: the template of this model begins the thought.

    Attributes:
        closes_alone: a thought ended that had no beginning.
        held_in_vain: text was held to the end of the answer, and was no thought.
    """

    def __init__(self, *, begins_inside: bool = False) -> None:
        self._rest = ""  # may be the beginning of a tag
        self._is_inside = False
        self._holds = begins_inside
        self._held = ""
        self.closes_alone = False
        self.held_in_vain = False

    def feed(self, text: str) -> str:
        """What of the text so far is part of the answer."""
        text, self._rest = self._rest + text, ""
        answer: list[str] = []
        while text:
            finder = _INSIDE if self._is_inside else _OUTSIDE
            found = finder.find(text)
            if found is None:
                cut = len(text) - finder.begun(text)
                self._rest = text[cut:]
                self._keep(text[:cut], answer)
                break
            begin, end, tag = found
            self._keep(text[:begin], answer)
            text = text[end:]
            if self._is_inside:
                self._is_inside = False
            elif tag in _OPENING:
                self._is_inside = True
                answer.append(self._release())
            elif tag in _CLOSING:
                self.closes_alone = True
                self._held, self._holds = "", False
        return "".join(answer)

    def flush(self) -> str:
        """The end of the answer: what was held, unless it is a thought."""
        rest, self._rest = unless_tag(self._rest), ""
        answer: list[str] = []
        self._keep(rest, answer)
        self.held_in_vain = self._holds
        return self._release() + "".join(answer)

    def release(self) -> str:
        """The server separates thoughts itself: nothing needs to be held."""
        self.held_in_vain = self._holds
        return self._release()

    def _keep(self, text: str, answer: list[str]) -> None:
        if self._is_inside:
            return
        if self._holds:
            self._held += text
        else:
            answer.append(text)

    def _release(self) -> str:
        held, self._held, self._holds = self._held, "", False
        return held
