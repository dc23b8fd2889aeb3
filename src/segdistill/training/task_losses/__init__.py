"""The losses of the task: of a network's logits against labels, one file each."""
