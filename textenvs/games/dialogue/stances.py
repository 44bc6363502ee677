"""Reading what a bargainer says without an offer: yes, no, or the way out."""

from __future__ import annotations

import re

_NOT_A_NO = re.compile(r"\b(?:no problem|not bad|why not|no worries|no objections?)\b")
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
    """``"leave"``, ``"refuse"`` (a question or a greeting too), ``"accept"``, or ``"unknown"``; ``text`` is in lower
    case, with plain apostrophes."""
    text = _NOT_A_NO.sub("ok", text)
    return next((kind for kind, pattern in _KINDS if pattern.search(text)), "unknown")
