"""Tells which files and folders are ignored wherever folders are searched."""

SYSTEM_FOLDERS = frozenset(
    (
        *("@eadir", "@recycle", "@tmp", "#recycle", "#snapshot"),
        *("__macosx", "$recycle.bin", "system volume information", "lost+found"),
    )
)
"""Folders, in lower case, that storage devices (Synology, QNAP) and operating systems create for themselves. They hold
thumbnails, deleted files and resource forks."""


def is_hidden(name: str) -> bool:
    """Tell whether a name is ignored: it begins with a dot, or is one of `SYSTEM_FOLDERS`.

    Args:
        name: name of a file or folder, without the folders above it.
    """
    return name.startswith(".") or name.lower() in SYSTEM_FOLDERS
