"""Runs restoration networks on an image, one or several, within a cap on memory, and checks what they changed."""
