"""Language models that answer chat messages: layout, batched decoding, the server and the chat."""

from agents.speaking.decoder import Decoder, Request
from agents.speaking.layout import Layout
from agents.speaking.speaker import Speaker, load_speaker

__all__ = ["Decoder", "Layout", "Request", "Speaker", "load_speaker"]
