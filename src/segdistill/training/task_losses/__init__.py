"""The task losses, which compare a network's logits with labels; one file each."""
