"""Parts of losses that have weights or memory."""
