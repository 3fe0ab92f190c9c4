"""Restoring videos: frames are streamed, statistics are smoothed over time, and a comparison is made."""
