"""The evidence about a model as one HTML file."""
