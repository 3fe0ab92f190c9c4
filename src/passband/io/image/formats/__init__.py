"""One file per type of image file, and what tells the types apart inside."""
