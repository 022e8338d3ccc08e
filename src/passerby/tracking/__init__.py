"""From film to tracklets."""
