"""Networks that restore images, and how to run them: `whole`, in `bands` and in `tiles`."""
