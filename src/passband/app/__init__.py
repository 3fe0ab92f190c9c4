"""The web page: drop a photo, see it restored, and see its frequencies.

    from passband.app import AppSettings, launch

    launch(AppSettings(port=7860))

`passband app` does the same. The page needs the extra `app` (`pip install '.[app]'`) and no network connection.
"""

from passband.app.settings import AppError, AppSettings, Limits, launch

__all__ = ["AppError", "AppSettings", "Limits", "launch"]
