"""What is searched: one small file a search, readable as a table."""
