"""Parts of losses that have weights or a memory."""
