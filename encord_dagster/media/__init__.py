"""Pictures beside labels: whether those of a checkout are there, of the recorded size, and where readers look."""
