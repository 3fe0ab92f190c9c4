"""Writes reports: JSON, CSV and Markdown files, and pages that hold their images."""
