"""What is claimed about speed, memory and accuracy: each file is a command that prints ratios."""
