"""The published files on Google Drive."""
