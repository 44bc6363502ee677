"""Reading what a bargainer says without an offer: yes, no, or the way out."""

from __future__ import annotations

import re

_NOT_A_NO = re.compile(r"\b(?:no problem|not bad|why not|no worries|no objections?)\b")
_GREETS = re.compile(r"\b(?:good|great) (?:morning|afternoon|evening|day|to (?:meet|see|hear))\b")
_WEAK = r"\b(?:ok|okay|yes|yeah|sure|fine|good|great|perfect|right)\b[,.!]? (?:(?:and|but|so|then) )?"
_QUESTION = re.compile(
    rf"(?:{_WEAK})*\b(?:(?:what|which|who|why|when|where|how)(?! about| an?\b)"
    r"|(?:is|are|was|will|would|could|can|do|does|did) (?:you|\w+ your|(?:this|that|it) the))\b[^.!;?]*\?"
)
_SOUGHT = re.compile(r"\b(?:find|get|like|make|need|reach|strike|want|work out|looking for) an? (?:\w+ ){0,2}deal\b")
_STAYS = re.compile(
    r"(?:n't|\b(?:not|never|cannot|cant|dont|wont|no \w+ to)|\b(?:will|would|do|did|are|if|when|before|until) you)"
    r"(?: (?!i\b|and\b|so\b|then\b)\w+){0,3} (?:walk(?:ing)?(?: away| out)?|leave|leaving|quit)\b"
)
_LEAVES = re.compile(
    r"\b(?:walk(?:ing)?(?: away| out)?|leave|leaving|quit|good ?bye|bye|forget it|i'?m out|i give up|call it off)\b"
)
_REFUSES = re.compile(
    r"\b(?:no|nope|nah|not|never|refuse|reject|decline|too (?:little|low|few|much|high|expensive)|unfair|unacceptable|"
    r"more|less|lower|higher|better|cannot|cant|wont|last word|final)\b|n't\b"
)
_ACCEPTS = re.compile(
    r"\b(?:deal|accept|accepted|agree|agreed|ok|okay|yes|yeah|yep|yup|sure|fine|done|good|great|works|perfect|sold|"
    r"right|take it|buy it)\b"
)
_ASKS = re.compile(r"\b(?:what|which|how|offer|propose|proposal|want|hello|hi|hey|please|your)\b|\?")
_KINDS = (("leave", _LEAVES), ("refuse", _REFUSES), ("accept", _ACCEPTS), ("refuse", _ASKS))


def stance(text: str) -> str:
    """``"leave"``, ``"refuse"`` (a question, a greeting, or a plea not to leave too), ``"accept"``, or ``"unknown"``;
    ``text`` is in lower case, with plain apostrophes."""
    text = _STAYS.sub("no", _NOT_A_NO.sub("ok", text))
    text = _QUESTION.sub("?", _SOUGHT.sub("offer", _GREETS.sub("hello", text)))
    return next((kind for kind, pattern in _KINDS if pattern.search(text)), "unknown")
