"""1. What exists: image files become samples, batches and pixels."""
