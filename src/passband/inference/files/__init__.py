"""Work on many files: which file becomes which, the loop over them, and restoration of images and videos."""
